"""Names on their way between runtimes: each is pickled on its own, so that one that cannot be read does no harm.

Where the class of a name cannot be imported the name stays sealed: it is passed on and kept apart from others as it is,
and those who can read it do.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from raybeam.actors import InvalidArgumentsError, UsageError

from . import envelope
from .kernel.name_protocol import Claim, Decide, Decision, Said, State, Told, Want

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .kernel.name_protocol import Saying, Verdict

NAME_LIMIT = 1024
"""How many bytes a name may take, pickled."""

Message: TypeAlias = State | Said | Told
M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A name that has not been read, or cannot be read here."""

    data: bytes


def check_name(name: Hashable) -> None:
    """See to it that a name can serve as one in other runtimes.

    Raises:
        UsageError: It is not hashable, cannot be pickled, is too large, or is not equal to its own copy.
    """
    if isinstance(name, FunctionType | BuiltinFunctionType | MethodType):
        raise UsageError(f"{name!r}: a function cannot be a name; give a string or a tuple of plain values")
    try:
        hash(name)
        data = envelope.dump(name)
        copy = envelope.load(data)
        same = copy == name and hash(copy) == hash(name)
    except (TypeError, InvalidArgumentsError) as error:
        raise UsageError(
            f"{name!r} cannot name a process: {error}; give a string or a tuple of plain values"
        ) from error
    if not same:
        raise UsageError(f"{name!r} cannot name a process: a copy of it is another name; give its class an __eq__")
    if len(data) > NAME_LIMIT:
        raise UsageError(f"a name of {len(data)} bytes is too large: at most {NAME_LIMIT}, pickled, may be given")


def seal(message: M) -> M:
    """Close the names in a message that is to be sent."""
    return cast("M", _changed(message, _seal))


def unseal(message: M) -> M:
    """Open the names in a message that has come."""
    return cast("M", _changed(message, _unseal))


def _seal(name: Hashable) -> Hashable:
    return name if type(name) in (str, Sealed) else Sealed(envelope.dump(name))


def _unseal(name: Hashable) -> Hashable:
    if not isinstance(name, Sealed):
        return name
    try:
        opened = pickle.loads(name.data)  # noqa: S301 (of the same system)
        hash(opened)
    except Exception:  # noqa: BLE001 (its class may raise anything)
        return name
    return opened  # type: ignore[no-any-return]  # hashable, as seen


def _changed(message: Message, change: Callable[[Hashable], Hashable]) -> Message:
    def claim(one: Claim) -> Claim:
        return replace(one, name=change(one.name))

    def want(one: Want) -> Want:
        return replace(one, claim=claim(one.claim))

    def saying(one: Saying) -> Saying:
        match one:
            case Want():
                return want(one)
            case Decision():
                return replace(one, against=claim(one.against))
        return one

    def verdict(one: Verdict) -> Verdict:
        return replace(one, against=claim(one.against)) if isinstance(one, Decide) else one

    match message:
        case State():
            return replace(message, held=tuple(map(claim, message.held)), wanted=tuple(map(want, message.wanted)))
        case Said():
            return replace(message, saying=saying(message.saying))
        case Told():
            return replace(
                message,
                entries=tuple((change(name), pid) for name, pid in message.entries),
                verdicts=tuple(map(verdict, message.verdicts)),
            )
