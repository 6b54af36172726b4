"""What the event manager's kernel knows: the handlers in the order of delivery, and the plan of what is to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..pid import Pid
    from .event_protocol import Answer, HandlerId, Unlink


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """An installed handler; two are the same only when they are the same object.

    Attributes:
        id: Its class, or `(class, id)`; need not be unique.
        handle: The running handler.
        owner: Who is told when it goes, for a supervised handler.
    """

    id: HandlerId
    handle: object
    owner: Pid | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """State of a manager.

    Attributes:
        handlers: In the order of delivery, the newest first.
        plan: What is still to be carried out for the message in hand; empty between messages.
        current: The step whose callback is under way.
    """

    handlers: tuple[Handler, ...] = ()
    plan: tuple[Step, ...] = ()
    current: Step | None = None

    def find(self, id: HandlerId) -> Handler | None:
        """The newest handler with this id."""
        return next((handler for handler in self.handlers if handler.id == id), None)


@dataclass(frozen=True, slots=True)
class Deliver:
    """Step: run a callback of one handler."""

    handler: Handler
    callback: str
    message: object


@dataclass(frozen=True, slots=True)
class Install:
    """Step: start a new handler.

    Attributes:
        id: Of the new one.
        args: For its `init`.
        owner: Who supervises it.
        handed_over: In a swap, what the old one's `terminate` gave, in a tuple of one.
        instead_of: The handler whose place it takes; without one it comes in front.
        asked: Whether somebody waits for the outcome; otherwise a failure is reported.
    """

    id: HandlerId
    args: tuple[object, ...]
    owner: Pid | None
    handed_over: tuple[object] | None = None
    instead_of: Handler | None = None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Finish:
    """Step: end a handler.

    Attributes:
        handler: Which.
        argument: For its `terminate`.
        told: Why it went, for its owner.
        failed_at: In a tuple of one, the message at which it failed: then the end is reported.
        then: The handler that takes over.
        asked: Whether somebody waits for the value of `terminate`.
    """

    handler: Handler
    argument: object
    told: object
    failed_at: tuple[object] | None = None
    then: Install | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """Step: an effect whose turn comes later."""

    effect: Answer | Unlink


Step: TypeAlias = "Deliver | Install | Finish | Say"
