"""What happens to a state machine: OTP's event types, each with its content. Match on the class.

match event:
    case CastEvent("push"): ...
    case CallEvent("status", sender): ...
    case StateTimeoutEvent(): ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


class Sender(Protocol):
    """Whom a call is answered to."""

    def reply(self, value: object) -> None:
        """Answer with `value`."""
        ...

    def fail(self, error: BaseException) -> None:
        """Answer by raising `error` at the caller."""
        ...


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A call: `request` wants an answer, now or later, by a `ReplyTo` action or `sender.reply`."""

    request: object
    sender: Sender


@dataclass(frozen=True, slots=True)
class CastEvent:
    """A cast: wants no answer."""

    request: object


@dataclass(frozen=True, slots=True)
class InfoEvent:
    """Any other message: a plain send, a `Down`, an `ExitMessage`."""

    message: object


@dataclass(frozen=True, slots=True)
class InternalEvent:
    """An event that the machine inserted itself by `NextEvent`."""

    content: object


@dataclass(frozen=True, slots=True)
class StateTimeoutEvent:
    """The machine has been in this state for as long as `StateTimeout` said."""

    content: object = None


@dataclass(frozen=True, slots=True)
class EventTimeoutEvent:
    """Nothing has happened for as long as `EventTimeout` said."""

    content: object = None


@dataclass(frozen=True, slots=True)
class NamedTimeoutEvent:
    """The time-out `name` has passed."""

    name: object
    content: object = None


@dataclass(frozen=True, slots=True)
class EnterEvent:
    """The state was entered, coming from `old_state` (at the start: from itself). Only with `state_enter = True`."""

    old_state: object


QueuedEvent: TypeAlias = (
    CallEvent | CastEvent | InfoEvent | InternalEvent | StateTimeoutEvent | EventTimeoutEvent | NamedTimeoutEvent
)
"""An event that can be inserted and postponed: all but the state enter call."""

StateEvent: TypeAlias = QueuedEvent | EnterEvent
"""What a state function or `handle_event` gets."""
