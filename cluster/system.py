"""A running system, from a driver: start one or connect to one, call its families, look at it, stop it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, GetTimeoutError, RayError

from raybeam.actors import BlueprintError, ClusterError, GenServer, UsageError
from raybeam.actors.reference import reference
from raybeam.actors.runtime import log

from .blueprint import Blueprint
from .breakers import BreakerSwitch, breakers_of
from .client import Client
from .driver_channel import DriverChannel
from .named_channel import NamedChannel
from .names import NAMESPACE, root_name
from .ray_actors import create_root
from .ray_directory import RayDirectory, ask_who_has
from .ray_errors import in_one_line
from .scaling import check_scale
from .telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable, Mapping
    from types import TracebackType

    from ray.actor import ActorHandle

    from raybeam.actors import Pid
    from raybeam.autoscaler.history import FamilyHistory

    from .status import SystemStatus

G = TypeVar("G", bound=GenServer)
R = TypeVar("R")
ROOT_ANSWERS_S = 30.0
ASK_AGAIN_S = 0.1
CLOSE_S = 10.0


class System:
    """A handle to a running system. Made by `System.start` or `System.connect`; usable as a context manager.

    Example:
        ```python
        with System.start({"name": "shop", "families": {"stock": {"service": Stock, "replicas": 2}}}) as system:
            stock = system.ref(Stock)
            stock.reserve.sync("apple", 3)            # outside an event loop
            await stock.reserve("apple", 3)           # inside one
        ```
    """

    def __init__(self, blueprint: Blueprint, root: ActorHandle[Any], *, owner: bool) -> None:
        self.blueprint = blueprint
        self.name = blueprint.name
        self._root = root
        self._owner = owner
        self._clients: dict[asyncio.AbstractEventLoop, Client] = {}
        self._breakers = breakers_of(blueprint)
        self._telemetry = Telemetry(blueprint.name, blueprint.telemetry)
        self._clients_lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._closed = threading.Event()
        self._failed: str | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"raybeam {self.name}", daemon=True)
        self._thread.start()
        self._telemetry.start(f"{self.name}/driver")
        self._renewing = threading.Thread(target=self._renew, name=f"raybeam lease {self.name}", daemon=True)
        self._renewing.start()

    # -- life ----------------------------------------------------------------------------------------

    @classmethod
    def start(
        cls, blueprint: Blueprint | Mapping[str, object], *, detached: bool = False, timeout_s: float = 120.0
    ) -> System:
        """Start a system and wait until all its replicas serve.

        Args:
            blueprint: A `Blueprint`, or its fields as a mapping.
            detached: Whether it goes on without this driver until somebody stops it. Default: it ends by itself
                when no driver has been there for the blueprint's `driver_timeout_s`.
            timeout_s: Seconds to wait. Then it is stopped again.

        Raises:
            BlueprintError: A field is wrong; names the field, the value and the mend.
            UsageError: A system of that name runs already.
            ClusterError: There is no Ray here, or replicas did not come up; says which and why.
        """
        parsed = Blueprint.parse(blueprint)
        _need_ray()
        try:
            root = create_root(parsed, attached=not detached)
        except TypeError as error:
            raise BlueprintError(
                f"the blueprint of {parsed.name!r} cannot be sent to the cluster, most likely some `args`: {error}"
            ) from None
        except ValueError:
            raise UsageError(
                f"a system named {parsed.name!r} runs already: "
                f"System.connect({parsed.name!r}), stop it, or choose another name"
            ) from None
        system = cls(parsed, root, owner=not detached)
        try:
            problem = _ask(root.wait_ready, timeout_s, within_s=timeout_s + ROOT_ANSWERS_S)
        except (RayError, GetTimeoutError) as error:
            problem = f"its root: {in_one_line(error)}"
        except BaseException:
            system._give_up()
            raise
        if problem is not None:
            system._give_up()
            raise ClusterError(f"the system {parsed.name!r} did not come up: {problem}")
        return system

    @classmethod
    def connect(cls, name: str) -> System:
        """Connect to a system that runs.

        Raises:
            UsageError: No system of that name runs in this Ray cluster.
            ClusterError: There is no Ray here, or the root does not answer.
        """
        _need_ray()
        try:
            root = ray.get_actor(root_name(name), NAMESPACE)
            blueprint: Blueprint = _ask(root.described)
        except (ValueError, ActorDiedError):
            raise UsageError(f"no system named {name!r} runs in this cluster") from None
        except (RayError, GetTimeoutError) as error:
            raise ClusterError(f"the root of {name!r} does not answer: {in_one_line(error)}") from error
        return cls(blueprint, root, owner=False)

    def stop(self, timeout_s: float = 60.0) -> None:
        """End the system in order, and this handle. Does nothing when it has ended already.

        Raises:
            ClusterError: It did not end in time; what is left ends by its leases.
        """
        self._end_handle()
        until = time.monotonic() + timeout_s
        try:
            _ask(self._root.stop, within_s=timeout_s)
            while True:  # the name is free again when the root is gone: a call that never returns tells
                _ask(self._root.watch, 1 << 90, within_s=max(0.1, until - time.monotonic()))
        except ActorDiedError:
            return
        except (RayError, GetTimeoutError) as error:
            raise ClusterError(
                f"the system {self.name!r} did not end within {timeout_s} s: {in_one_line(error)}"
            ) from error

    def close(self) -> None:
        """End this handle only: the system goes on while other drivers are there, or detached."""
        self._end_handle()

    def __enter__(self) -> System:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._owner:
            self.stop()
        else:
            self.close()

    # -- use -----------------------------------------------------------------------------------------

    def ref(self, service: type[G], family: str | None = None) -> G:
        """A typed reference to a family: `await ref.method(...)` in an event loop, `ref.method.sync(...)` outside.

        Args:
            service: The class that the family runs.
            family: Its name; needed when several families run the class.

        Raises:
            BlueprintError: There is no such family.
        """
        name = self._client_here(self._loop).family_of(service, family)
        return reference(service, DriverChannel(self.name, name, self._client_here, self.run))

    def named(self, service: type[G], name: Hashable) -> G:
        """A typed reference to the process that has a name of the whole system, see `raybeam.cluster.global_names`.

        A call while nobody has the name fails with `NoProcess`.

        Args:
            service: Its class.
            name: The name.
        """
        channel = NamedChannel(
            self.name,
            name,
            partial(ask_who_has, self._root),
            lambda: self._client_here(asyncio.get_running_loop()),
            self.run,
        )
        return reference(service, channel)

    def whereis_name(self, name: Hashable) -> Pid | None:
        """Who has a name of the whole system, as the root knows it; `None`: nobody.

        Raises:
            ClusterError: The root does not answer.
        """
        pid: Pid | None = self._ask_root(self._root.whereis_name, name)
        return pid

    def registered_names(self) -> list[Hashable]:
        """All names of the whole system.

        Raises:
            ClusterError: The root does not answer.
        """
        names: list[Hashable] = self._ask_root(self._root.registered_names)
        return names

    def breaker(self, family: str) -> BreakerSwitch:
        """The breaker of a family, for the calls of this handle: look at it, reset, disable or enable it.

        Raises:
            BlueprintError: There is no such family, or it has no `breaker`.
        """
        if family not in self._breakers:
            known = ", ".join(self._breakers) or "none"
            raise BlueprintError(f"the blueprint gives no breaker to {family!r}; families that have one: {known}")
        return self._breakers[family]

    def status(self) -> SystemStatus:
        """Replicas, queue depths, restarts, waiting times, and what happened lately.

        Raises:
            ClusterError: The root does not answer.
        """
        status: SystemStatus = self._ask_root(self._root.status)
        return status

    def scale(self, family: str, replicas: int) -> None:
        """Let a family have so many replicas; returns when that is on its way, `status()` tells how far it is.

        Those that are too many take no new calls, serve what they have, and end. The controller sets the number of a
        family with `scaling` again at its next decision; with `dry_run` it leaves it alone.

        Args:
            family: Its name.
            replicas: How many, 1 to 1000, or within the bounds of its `scaling`.

        Raises:
            UsageError: There is no such family, or it may not have so many.
            ClusterError: The root does not answer, or the system is ending.
        """
        check_scale(self.blueprint, family, replicas)
        self._ask_root(self._root.scale, family, replicas)

    def scaling_history(self, family: str) -> FamilyHistory:
        """What was decided about the number of replicas of a family that scales, why, and how it went.

        `status()` tells the latest decision for each family.

        Args:
            family: Its name.

        Raises:
            UsageError: There is no such family, or it does not scale.
            ClusterError: The root does not answer.
        """
        scaled = [name for name, each in self.blueprint.families.items() if each.scaling is not None]
        if family not in scaled:
            raise UsageError(f"there is no family {family!r} that scales; there are: {', '.join(scaled) or 'none'}")
        history: FamilyHistory = self._ask_root(self._root.scaled, family)
        return history

    # -- inside --------------------------------------------------------------------------------------

    def _ask_root(self, method: Any, *args: object) -> Any:
        try:
            return _ask(method, *args)
        except (RayError, GetTimeoutError) as error:
            raise ClusterError(f"the root of {self.name!r} does not answer: {in_one_line(error)}") from error

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run a coroutine on the loop of this handle and wait for it.

        Raises:
            UsageError: The handle is closed, or was while this waited.
        """
        with self._clients_lock:  # closing takes it too: nothing is given to a loop that has stopped
            if self._closed.is_set():
                coroutine.close()
                raise self._closed_error()
            running = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return running.result()
        except concurrent.futures.CancelledError:
            raise self._closed_error() from None

    def _client_here(self, loop: asyncio.AbstractEventLoop) -> Client:
        with self._clients_lock:
            client = self._clients.get(loop)
            if client is None:
                if self._closed.is_set():
                    raise self._closed_error()
                for ended in [known for known in self._clients if known.is_closed()]:
                    del self._clients[ended]
                client = Client(
                    self.blueprint,
                    RayDirectory(self.name),
                    self.run,
                    breakers=self._breakers,
                    telemetry=self._telemetry,
                )
                if self._failed is not None:
                    client.end(self._failed_error(self._failed))
                loop.call_soon_threadsafe(client.open)
                self._clients[loop] = client
            return client

    def _closed_error(self) -> UsageError:
        return UsageError(f"this handle of {self.name!r} is closed")

    def _failed_error(self, why: str) -> ClusterError:
        return ClusterError(f"the system {self.name!r} has given up: {why}")

    def _renew(self) -> None:
        """Tell the root that this driver lives, until the handle is closed."""
        interval_s = min(1.0, self.blueprint.driver_timeout_s / 5)
        while not self._closed.wait(interval_s):
            if not ray.is_initialized():
                return
            try:
                failed: str | None = _ask(self._root.renew, within_s=self.blueprint.driver_timeout_s)
            except (RayError, GetTimeoutError):
                continue  # the root restarts, or the system has ended; whoever calls it will learn
            if failed is not None:
                self._tell_failed(failed)
                return

    def _tell_failed(self, why: str) -> None:
        """The system has given up: let every call fail with the reason."""
        with self._clients_lock:
            self._failed = why
            for loop, client in self._clients.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(client.end, self._failed_error(why))

    def _give_up(self) -> None:
        """Stop what did not come up; the reason for that is more telling than how the clean-up went."""
        try:
            self.stop()
        except ClusterError as error:
            log.warning("%s", error)

    def _end_handle(self) -> None:
        """Close the clients of all loops, let go of who waits in `run`, end the loop. Only the first time."""
        with self._clients_lock:
            if self._closed.is_set():
                return
            self._closed.set()
            clients = dict(self._clients)
        ours = clients.pop(self._loop, None)
        for loop, client in clients.items():
            if loop.is_running():  # its own thread closes it, which may be this one: nobody waits for that
                loop.call_soon_threadsafe(loop.create_task, client.close(self._closed_error()))
        asyncio.run_coroutine_threadsafe(self._end_loop(ours), self._loop).result(timeout=CLOSE_S)
        self._telemetry.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end_loop(self, client: Client | None) -> None:
        if client is not None:
            await client.close(self._closed_error())
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _ask(method: Any, *args: object, within_s: float = ROOT_ANSWERS_S) -> Any:
    """Ask the root something that may be asked again: while Ray restarts it, it is unavailable for a moment."""
    until = time.monotonic() + within_s
    while True:
        try:
            return ray.get(method.remote(*args), timeout=max(0.1, until - time.monotonic()))
        except ActorUnavailableError:
            if time.monotonic() > until:
                raise
            time.sleep(ASK_AGAIN_S)


def _need_ray() -> None:
    if not ray.is_initialized():
        raise ClusterError(
            "no Ray here: call ray.init(), or start machines with raybeam.cluster.local.LocalCluster, before the system"
        )
