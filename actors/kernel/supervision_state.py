"""What a supervisor's kernel knows: options, children, the restarts that count, and the plan under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .intensity import Limit, Restart
from .supervision_children import Children

if TYPE_CHECKING:
    from .backoff import Backoff
    from .childspec import ChildSpec
    from .reason import ExitReason
    from .supervision_protocol import Handle, Restarting


@dataclass(frozen=True, slots=True)
class Flags:
    """Options of a supervisor; see `raybeam.actors.supervisor.Supervisor` for their meaning."""

    strategy: str = "one_for_one"
    limit: Limit = Limit(1, 5.0)  # noqa: RUF009 (frozen)
    auto_shutdown: str = "never"
    backoff: Backoff | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A restart that waits.

    Attributes:
        number: Tells it from those that waited before and were called off.
        counted: Whether it has been counted as a restart already.
    """

    number: int
    counted: bool


class Child(NamedTuple):
    """A child as its supervisor sees it.

    Attributes:
        spec: How it is started and stopped.
        handle: The running child, `None` when it is not running.
        restarting: Set while a restart waits: for a backoff, or to be tried again after it failed.
        restarts: How often it was restarted.
        started_at: When it was started last, monotonic seconds.
        failures: How often it failed without recovering in between.
        waiting: The restart that waits; `None` when none does.
    """

    spec: ChildSpec
    handle: Handle | None = None
    restarting: Restarting | None = None
    restarts: int = 0
    started_at: float = 0.0
    failures: int = 0
    waiting: Waiting | None = None

    @property
    def shown(self) -> Handle | Restarting | None:
        """What reports say in place of its pid."""
        return self.restarting or self.handle


# -- plans -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartChild:
    """An instruction: start this child."""

    id: object


@dataclass(frozen=True, slots=True)
class StopChild:
    """An instruction: stop this child, if it runs."""

    id: object


@dataclass(frozen=True, slots=True)
class Booting:
    """All children start for the first time; `failure` is set when one did not and the others are being stopped."""

    failure: ExitReason = None


@dataclass(frozen=True, slots=True)
class RestartingGroup:
    """A child, or the group behind it, is being restarted after its end.

    Attributes:
        id: The child.
        last: What reports say in place of its pid.
    """

    id: object
    last: Handle | Restarting | None


@dataclass(frozen=True, slots=True)
class Serving:
    """A request is being served."""

    operation: str
    id: object


@dataclass(frozen=True, slots=True)
class EndingAll:
    """All children are being stopped for good."""


Task: TypeAlias = Booting | RestartingGroup | Serving | EndingAll


class Supervision(NamedTuple):
    """State of a supervisor.

    Attributes:
        flags: Its options.
        children: In the order of their start.
        restarts: Those that still count.
        waits: How many restarts have waited so far.
        plan: Instructions, for what is under way.
        at: How many of them have been carried out; the next one is under way.
        task: What the plan is for.
    """

    flags: Flags
    children: Children = Children()
    restarts: tuple[Restart, ...] = ()
    waits: int = 0
    plan: tuple[StartChild | StopChild, ...] = ()
    at: int = 0
    task: Task | None = None

    def find(self, id: object) -> Child | None:
        """The child with that id."""
        return self.children.find(id)

    def by_handle(self, handle: Handle) -> Child | None:
        """The child with that handle."""
        return self.children.by_handle(handle)
