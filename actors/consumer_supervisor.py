"""ConsumerSupervisor: a consumer that starts a process for each event, so many at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .dynamic_supervisor import DynamicSupervisor
from .errors import UsageError
from .kernel.childspec import ChildSpec
from .kernel.dynamicspec import DynamicSpec
from .kernel.server import Ignore, InitResult, Stop
from .kernel.stage_options import Consumer, Manual, SubscribeTo
from .runtime import log
from .stage import GenStage
from .stage_calls import ask
from .task import TaskBody, spawn_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from .kernel.backoff import Backoff
    from .kernel.stage_protocol import Subscription
    from .pid import Pid


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """Options of a consumer supervisor.

    Attributes:
        template: How the process for an event is started; it gets the event as its last argument. Its restart type is
            `"temporary"` or `"transient"`.
        subscribe_to: Producers: each a `SubscribeTo`, or a pid or name. `max_demand` is how many processes of one
            subscription there may be at once.
        intensity: As of `DynamicSpec`. Default 3.
        period_s: As of `DynamicSpec`. Default 5.
        backoff: As of `DynamicSpec`. Default: none.
    """

    template: ChildSpec
    subscribe_to: Sequence[Hashable] = ()
    intensity: int = 3
    period_s: float = 5.0
    backoff: Backoff | None = None


@dataclass(slots=True)
class _Running:
    """A subscription: how many processes of it have ended and were not asked for again yet."""

    most: int
    batch: int
    ended: int = 0


@dataclass(slots=True)
class _Origins:
    subscriptions: dict[Subscription, _Running] = field(default_factory=dict)
    of_children: dict[int, Subscription] = field(default_factory=dict)


class ConsumerSupervisor(DynamicSupervisor, GenStage):
    """A consumer that starts a process for each event, and asks for more as they end.

    **What it is.** Elixir's `ConsumerSupervisor`: a `DynamicSupervisor` whose children are started by events. As many
    run at once as `max_demand` of the subscription says.

        >>> import asyncio
        >>> from raybeam.actors import ConsumerSpec, ConsumerSupervisor, Runtime, SubscribeTo
        >>> from raybeam.actors import consumer_supervisor, gen_stage, process
        >>> from raybeam.actors.testing import run
        >>> done: list[int] = []
        >>> async def fetch(page: int) -> None:
        ...     await asyncio.sleep(1.0)
        ...     done.append(60 // page)
        >>> async def main() -> tuple[list[int], float]:
        ...     async with Runtime(reports=lambda report: None) as runtime:
        ...         pages = await gen_stage.from_iterable([1, 2, 0, 3, 4, 5])
        ...         spec = ConsumerSpec(consumer_supervisor.each(fetch), [SubscribeTo(pages, max_demand=2)])
        ...         fetching = await gen_stage.start(ConsumerSupervisor, spec)
        ...         await process.wait_exit(fetching)
        ...         return done, runtime.now()
        >>> run(main())
        ([60, 30, 20, 15, 12], 3.0)

    **A failure and its outcome.** Above, the process of page 0 crashes: it is reported, its event is lost, the others
    go on. With `restart="transient"` it would be started again with its event, until it succeeds or there are more
    restarts than `intensity` within `period_s`; then the supervisor ends all processes and itself with the reason
    `shutdown`. When the producer ends in order, so does the supervisor, once its processes are done; when the producer
    fails it ends them at once, unless the subscription's `cancel` says otherwise.

    **The template** is the specification of every process: `each(function)`, or a `ChildSpec` with a class, say, of a
    `GenServer`; the event is put behind its arguments. Its restart type is `"temporary"` or `"transient"`: the process
    must end when it is done. An event whose process does not start is logged and lost.

    **Options** are those of `ConsumerSpec`: pass one to the start, or return it from `init` of a subclass. The
    functions of `dynamic_supervisor` look at it (`which_children`, `count_children`, `terminate_child`), those of
    `gen_stage` subscribe it to more producers.

    **When not to use it.** When handling an event is quick, or its outcome is needed in order: a plain consumer costs
    less. For a list at hand use `task_supervisor.async_stream`.
    """

    async def init(self, spec: ConsumerSpec) -> ConsumerSpec | Ignore:  # type: ignore[override]  # options of its own
        """Give the options; override to fix them in a subclass."""
        return spec

    async def _boot(self, spec: object) -> InitResult:
        if isinstance(spec, Ignore):
            return spec
        if not isinstance(spec, ConsumerSpec):
            return Stop(("bad_return", (type(self).__name__, "init", spec)))
        if spec.template.restart == "permanent":
            mend = 'use restart="temporary", or "transient" to have a crash tried again'
            raise UsageError(f"template {spec.template.id!r}: a process for one event ends with it; {mend}")
        self._origins = _Origins()
        dynamic = DynamicSpec(spec.intensity, spec.period_s, template=spec.template, backoff=spec.backoff)
        booted = await DynamicSupervisor._boot(self, dynamic)
        if booted is not None:
            return booted
        return await GenStage._boot(self, Consumer(subscribe_to=spec.subscribe_to))

    async def handle_subscribe(self, to: str, options: SubscribeTo, subscription: Subscription) -> Manual:
        """Ask for as many events as there may be processes."""
        self._origins.subscriptions[subscription] = _Running(options.max_demand, options.max_demand - options.low)
        ask(subscription, options.max_demand)
        return Manual()

    async def handle_events(self, events: list[Any], subscription: Subscription) -> None:
        """Start a process for each."""
        for event in events:
            before = self._last_key
            answer = await self._start_new((event,))
            if self._last_key != before:
                self._origins.of_children[self._last_key] = subscription
                continue
            if not answer.ok:
                log.error("%s %s: no process for %r: %s", type(self).__name__, self.pid, event, answer.value)
            self._ended(subscription)

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> None:
        """Nobody is asked any more; the processes under way go on."""
        self._origins.subscriptions.pop(subscription, None)

    def _is_idle(self) -> bool:
        return not self._children

    def _forget(self, key: int) -> None:
        super()._forget(key)
        subscription = self._origins.of_children.pop(key, None)
        if subscription is not None:
            self._ended(subscription)

    def _ended(self, subscription: Subscription) -> None:
        running = self._origins.subscriptions.get(subscription)
        if running is None:
            return
        running.ended += 1
        if running.ended >= running.batch:
            ask(subscription, running.ended)
            running.ended = 0


def each(function: Callable[[Any], Awaitable[object]], *, restart: str = "temporary") -> ChildSpec:
    """A template whose processes run `await function(event)` and end.

    Args:
        function: What is done with an event.
        restart: `"temporary"`: an event whose process crashes is lost (the default); `"transient"`: it is tried again,
            as often as the supervisor's intensity bears.
    """

    async def start(event: object) -> Pid:
        return await spawn_body(TaskBody(function, (event,)))

    return ChildSpec(getattr(function, "__qualname__", "each"), start, restart=restart)
