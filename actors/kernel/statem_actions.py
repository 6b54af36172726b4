"""What a state machine's callbacks return: a result, and the actions that go with it. OTP's, as types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from .server import Error, Ignore, Stop

if TYPE_CHECKING:
    from .statem_events import QueuedEvent, Sender

TimerKey: TypeAlias = tuple[str, object]
STATE_TIMER: Final[TimerKey] = ("state", None)
EVENT_TIMER: Final[TimerKey] = ("event", None)

Time: TypeAlias = float | Literal["infinity", "cancel", "update"]
"""When a time-out passes: seconds; `"infinity"` or `"cancel"`: never; `"update"`: as set, with new content."""


@dataclass(frozen=True, slots=True)
class _Timeout:
    """What all time-out actions have in common.

    Attributes:
        time: Seconds from the end of the transition; 0: as soon as the inserted and postponed events are through,
            before anything in the mailbox. `"cancel"` and `"infinity"` stop it, `"update"` gives a running one new
            content and starts one that does not run with time 0. A new time replaces a running one.
        content: Comes with the event. Default `None`.
        absolute: Whether `time` is a time of the runtime's clock (`self.runtime.now()`) instead. Default no.
    """

    time: Time
    content: object = None
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class StateTimeout(_Timeout):
    """Passes when the machine has stayed in this state for `time`; any change of the state stops it."""

    @property
    def key(self) -> TimerKey:
        """Which timer it sets."""
        return STATE_TIMER


@dataclass(frozen=True, slots=True)
class EventTimeout(_Timeout):
    """Passes when nothing has happened for `time`; any event stops it. A bare number of seconds is short for it."""

    @property
    def key(self) -> TimerKey:
        """Which timer it sets."""
        return EVENT_TIMER


@dataclass(frozen=True, slots=True)
class NamedTimeout:
    """Passes after `time` whatever happens; there may be any number, each with a name (any hashable term).

    `time`, `content` and `absolute` are as for the other time-outs.
    """

    name: object
    time: Time
    content: object = None
    absolute: bool = False

    @property
    def key(self) -> TimerKey:
        """Which timer it sets."""
        return ("named", self.name)


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Answer a call: the `sender` of its event, at once or from a later state."""

    sender: Sender
    value: object


@dataclass(frozen=True, slots=True)
class Postpone:
    """Put this event off until the state changes; `Postpone(False)` takes an earlier one of the list back."""

    postpone: bool = True


@dataclass(frozen=True, slots=True)
class NextEvent:
    """Insert an event, to be handled before all that wait; several are handled in the order given."""

    event: QueuedEvent


@dataclass(frozen=True, slots=True)
class Hibernate:
    """Accepted for OTP's sake; does nothing here: an idle process holds no task."""

    hibernate: bool = True


@dataclass(frozen=True, slots=True)
class ChangeCallbackModule:
    """Go on with another `GenStatem` class; it gets the data as it is."""

    module: type


@dataclass(frozen=True, slots=True)
class PushCallbackModule:
    """Like `ChangeCallbackModule`, until `PopCallbackModule` comes back to this class."""

    module: type


@dataclass(frozen=True, slots=True)
class PopCallbackModule:
    """Go back to the class before the last `PushCallbackModule`."""


TimeoutAction: TypeAlias = StateTimeout | EventTimeout | NamedTimeout
Action: TypeAlias = (
    ReplyTo
    | Postpone
    | NextEvent
    | TimeoutAction
    | float
    | Hibernate
    | ChangeCallbackModule
    | PushCallbackModule
    | PopCallbackModule
)
Actions: TypeAlias = Action | Sequence[Action]


@dataclass(frozen=True, slots=True)
class NextState:
    """Go on in `state`. From `init`: the first state.

    Only going to *another* state is a change: it makes the state enter call, takes the postponed events up again
    and stops the state time-out.
    """

    state: object
    actions: Actions = ()


@dataclass(frozen=True, slots=True)
class KeepState:
    """Stay in the state."""

    actions: Actions = ()


@dataclass(frozen=True, slots=True)
class RepeatState:
    """Stay in the state and make the state enter call again; otherwise like `KeepState`."""

    actions: Actions = ()


@dataclass(frozen=True, slots=True)
class StopAndReply:
    """Answer some calls, then end with `reason`, after `terminate`."""

    reason: object
    replies: ReplyTo | Sequence[ReplyTo]


StateResult: TypeAlias = NextState | KeepState | RepeatState | Stop | StopAndReply
"""What a state function or `handle_event` returns."""

FirstState: TypeAlias = NextState | Ignore | Error | Stop
"""What `init` returns."""
