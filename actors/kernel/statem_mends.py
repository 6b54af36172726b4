"""What is wrong with an action that a state function returned."""

from __future__ import annotations

from .statem_actions import (
    ChangeCallbackModule,
    EventTimeout,
    Hibernate,
    NamedTimeout,
    NextEvent,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    ReplyTo,
    StateTimeout,
)


def wrong_action(action: object) -> str:
    """Which field of an action has a wrong value, and what to write instead.

    >>> wrong_action(StateTimeout(-1))
    "StateTimeout.time=-1: give seconds, 0 or more, 'infinity', 'cancel' or 'update'"
    >>> wrong_action("go")
    "'go' is no action: give ReplyTo, Postpone, NextEvent, a time-out, Hibernate or a change of the callback module"
    """
    name = type(action).__name__
    match action:
        case ReplyTo(sender=sender):
            return f"ReplyTo.sender={sender!r}: give the sender of a CallEvent"
        case Postpone(postpone=value):
            return f"Postpone.postpone={value!r}: True or False"
        case Hibernate(hibernate=value):
            return f"Hibernate.hibernate={value!r}: True or False"
        case NextEvent(event=event):
            return f"NextEvent.event={event!r}: give an event, most often InternalEvent(content)"
        case NamedTimeout(name=key) if not _is_hashable(key):
            return f"NamedTimeout.name={key!r}: give a hashable term, such as a string"
        case StateTimeout(time="update") | EventTimeout(time="update") | NamedTimeout(time="update"):
            return f"{name}.absolute=True: 'update' keeps the time that was set; leave absolute out"
        case StateTimeout(time=time) | EventTimeout(time=time) | NamedTimeout(time=time):
            return f"{name}.time={time!r}: give seconds, 0 or more, 'infinity', 'cancel' or 'update'"
        case int() | float():
            return f"{action!r} as an event time-out: give seconds, 0 or more"
        case ChangeCallbackModule(module=module) | PushCallbackModule(module=module):
            return f"{name}.module={module!r}: give a class derived from GenStatem"
        case PopCallbackModule():
            return "PopCallbackModule() without a PushCallbackModule before: there is no class to go back to"
        case _:
            known = "ReplyTo, Postpone, NextEvent, a time-out, Hibernate or a change of the callback module"
            return f"{action!r} is no action: give {known}"


def _is_hashable(term: object) -> bool:
    try:
        hash(term)
    except TypeError:
        return False
    return True
