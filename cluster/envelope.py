"""What travels in a lane, and how it is written: batches of messages one way, answers the other.

Each message's payload is pickled on its own, so that one that cannot be read fails alone. Payloads that need it
(classes of a script's `__main__`, lambdas) are pickled by value.
"""

from __future__ import annotations

import pickle
from sys import getsizeof
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ray import cloudpickle

from raybeam.actors import (
    CallContext,
    CallFailed,
    InvalidArgumentsError,
    MessageTooLarge,
    ServiceError,
    UnsendableAnswer,
)
from raybeam.actors.delivery import Invoke, new_invoke
from raybeam.actors.kernel.once import Origin

from .kernel.connection import Stamp
from .kernel.lane import Replied, Send
from .large import LARGE_BYTES, LargeCounts, LargeValues, put_back, set_aside, too_large

if TYPE_CHECKING:
    from raybeam.actors import Pid
    from raybeam.actors.signals import Signal

    from .kernel.views import View

VERSION = 2

CALL = 0
CAST = 1
SIGNAL = 2
CANCEL = 3
HELLO = 4

VALUE = 0
SERVICE_ERROR = 1
FAILED = 2

FORGOTTEN = b""
"""The reply to a batch of a lane that the receiver does not know any more."""


Extra: TypeAlias = tuple[tuple[str, str, tuple[tuple[str, str], ...]] | None, tuple[str, int, int, int] | None]
"""What few calls carry: the fields of their `CallContext` and of their `Origin`."""

Row: TypeAlias = tuple[int, "str | Pid", bytes, float | None, Extra | None]
"""A message on its way. The first field is its kind:

- `CALL`, `CAST`: a name registered in the receiving runtime, or a pid of it; the request, pickled; seconds until the
  caller waits no longer, counted from the sending of the batch; what it carries beside.
- `SIGNAL`: the name of the sending runtime, and the signal.
- `CANCEL`: the number of the call, as text, whose caller waits no longer.
- `HELLO`: nothing; it makes the receiver reply.
"""


Answer: TypeAlias = tuple[int, int, bytes]
"""The answer to a message: its number, `VALUE` or how else it ended, the answer pickled."""


class LaneVersionError(CallFailed):
    """The two ends of a lane speak different versions of the protocol."""


MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest request and the largest answer that a lane carries, large values not counted."""


def dump_request(request: Invoke) -> tuple[bytes, LargeValues]:
    """Pickle a typed request; a plain tuple is several times faster than the class.

    Large arguments travel beside, see `raybeam.cluster.large`.

    Raises:
        InvalidArgumentsError: An argument cannot be pickled.
        MessageTooLarge: It is larger than `MAX_MESSAGE_BYTES`, or its large arguments than `MAX_LARGE_BYTES`.
    """
    method, args, kwargs = request
    large: LargeValues = ()
    if kwargs or sum(map(getsizeof, args)) > LARGE_BYTES:  # most calls are small: they pay for this look only
        args, kwargs, large = set_aside(args, kwargs)
    data = dump((method, args, kwargs))
    if len(data) > LARGE_BYTES and not large:  # a view, say, whose size does not tell
        args, kwargs, large = set_aside(args, kwargs)
        data = dump((method, args, kwargs)) if large else data
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"{request.method}: its arguments take {too_large(len(data), MAX_MESSAGE_BYTES)}")
    return data, large


def dump_answer(value: object) -> tuple[bytes, LargeValues]:
    """Pickle an answer; a large one travels beside.

    Raises:
        UnsendableAnswer: It cannot be pickled, or is larger than `MAX_MESSAGE_BYTES` or `MAX_LARGE_BYTES`.
    """
    large: LargeValues = ()
    try:
        if getsizeof(value) > LARGE_BYTES:
            (value,), _, large = set_aside((value,), {})
        data = dump(value)
    except (InvalidArgumentsError, MessageTooLarge) as error:
        raise UnsendableAnswer(str(error)) from None
    if len(data) > MAX_MESSAGE_BYTES:
        raise UnsendableAnswer(f"it takes {too_large(len(data), MAX_MESSAGE_BYTES)}")
    return data, large


def load_request(data: bytes, large: LargeValues = ()) -> Invoke:
    """Read a typed request; see `load`."""
    request = load(data)
    assert isinstance(request, tuple)
    if large:
        method, args, kwargs = request
        request = (method, *put_back(args, kwargs, large))
    return new_invoke(Invoke, request)


def dump(value: object) -> bytes:
    """Pickle a payload, by value where a reference would not be found at the other end."""
    try:
        data = pickle.dumps(value, protocol=5)
    except Exception:  # noqa: BLE001 (a class may raise anything while it is pickled)
        return _dump_by_value(value)
    return _dump_by_value(value) if b"__main__" in data else data


def _dump_by_value(value: object) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise InvalidArgumentsError(f"{type(value).__name__} cannot be sent to another process: {error}") from error
    return data


def load(data: bytes) -> object:
    """Read a payload.

    Raises:
        InvalidArgumentsError: It cannot be read here, e.g. because a class cannot be imported.
    """
    try:
        value: object = pickle.loads(data)
    except Exception as error:
        raise InvalidArgumentsError(
            f"a message cannot be read here ({type(error).__name__}: {error}): classes must be importable at both ends"
        ) from error
    return value


def pack_extra(context: CallContext | None, origin: Origin | None) -> Extra | None:
    """What a call carries beside its request; plain tuples are pickled several times faster than the classes."""
    if context is None and origin is None:
        return None
    return (
        None if context is None else (context.tenant, context.priority, context.trace),
        None if origin is None else (origin.client, origin.number, origin.settled, origin.life),
    )


def unpack_extra(extra: Extra) -> tuple[CallContext | None, Origin | None]:
    """Undo `pack_extra`."""
    context, origin = extra
    return None if context is None else CallContext(*context), None if origin is None else Origin(*origin)


def dump_signal(carried: Stamp, signal: Signal | None) -> bytes:
    """Pickle a signal between processes; `None` is a greeting that carries only its stamp.

    Raises:
        InvalidArgumentsError: It holds what cannot be pickled.
    """
    return dump((carried.number, carried.heard, signal))


def load_signal(data: bytes) -> tuple[Stamp, Signal | None]:
    """Read a signal; see `load`."""
    loaded = load(data)
    assert isinstance(loaded, tuple)
    number, heard, signal = loaded
    return Stamp(number, heard), signal


def dump_batch(sender: str, batch: Send, rows: list[Row], epoch: int = 0, large: LargeCounts = ()) -> bytes:
    """A batch as it travels.

    Args:
        sender: Name of the lane.
        batch: What it is.
        rows: Its messages.
        epoch: Of the view by which the sender found the receiver.
        large: How many large values go with which messages of the batch.
    """
    header = (VERSION, sender, batch.first, batch.ack, batch.resync, batch.begun, epoch, large)
    return pickle.dumps((header, rows), protocol=5)


def load_batch(data: bytes) -> tuple[str, Send, list[Row], int, LargeCounts]:
    """Sender, batch, messages, epoch, and how many large values go with which messages.

    Raises:
        LaneVersionError: The batch is of another version of the protocol.
    """
    header, rows = pickle.loads(data)
    if header[0] != VERSION:
        raise LaneVersionError(f"lane protocol {header[0]} met {VERSION}: run the same raybeam at both ends")
    _, sender, first, ack, resync, begun, epoch, large = header
    return sender, Send(first, len(rows), ack, resync, begun), rows, epoch, large


class Told(NamedTuple):
    """What a reply tells of the receiver beside the answers.

    Attributes:
        depth: The queue depth of the service.
        life: Which life of the service's state it is; 0: there is none at the moment.
        view: The view of the family, when the sender's is older.
    """

    depth: int
    life: int
    view: View | None = None


def dump_reply(reply: Replied, answers: list[Answer], told: Told, large: LargeCounts = ()) -> bytes:
    """The reply to a batch as it travels; `large`: how many large values go with which of the answers."""
    header = (reply.accepted, reply.limit, reply.first_answer, told.depth, told.life, told.view, large)
    return pickle.dumps((header, answers), protocol=5)


def load_reply(data: bytes) -> tuple[Replied, list[Answer], Told, LargeCounts]:
    """Reply, answers, what the receiver tells, and how many large values go with which of the answers."""
    (accepted, limit, first_answer, depth, life, view, large), rows = pickle.loads(data)
    return Replied(accepted, limit, first_answer, len(rows)), rows, Told(depth, life, view), large


def answer_with_error(seq: int, error: BaseException) -> Answer:
    """The answer that raises `error` at the caller; what cannot travel is told in words."""
    status = SERVICE_ERROR if isinstance(error, ServiceError | InvalidArgumentsError) else FAILED
    try:
        payload, _ = dump_answer(error)
        load(payload)  # an exception with an `__init__` of its own may be written and yet not be read
        return seq, status, payload
    except (InvalidArgumentsError, UnsendableAnswer):
        told = f"{type(error).__name__}: {error}"
        plain = ServiceError(told) if status == SERVICE_ERROR else CallFailed(told)
        return seq, status, dump(plain)
