"""What travels in a lane, and how it is written: batches of messages one way, answers the other.

Each message's payload is pickled on its own, so that one that cannot be read fails alone. Payloads that need it
(classes of a script's `__main__`, lambdas) are pickled by value.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ray import cloudpickle

from raybeam.actors import CallFailed, InvalidArgumentsError, ServiceError
from raybeam.actors.interface import Invoke

from .kernel.connection import Stamp
from .kernel.lane import Replied, Send

if TYPE_CHECKING:
    from raybeam.actors import Pid
    from raybeam.actors.signals import Signal

VERSION = 1

CALL = 0
CAST = 1
SIGNAL = 2

VALUE = 0
SERVICE_ERROR = 1
FAILED = 2

FORGOTTEN = b""
"""The reply to a batch of a lane that the receiver does not know any more."""


Row: TypeAlias = tuple[int, "str | Pid", bytes, float | None]
"""A message on its way: `CALL` or `CAST`; a name registered in the receiving runtime, or a pid of it; the request,
pickled; seconds until the caller waits no longer, counted from the sending of the batch. Of a `SIGNAL`: the name of the
sending runtime, and the signal."""


class Answer(NamedTuple):
    """The answer to the message with number `seq`."""

    seq: int
    status: int
    payload: bytes


class LaneVersionError(CallFailed):
    """The two ends of a lane speak different versions of the protocol."""


def dump_request(request: Invoke) -> bytes:
    """Pickle a typed request; a plain tuple is several times faster than the class."""
    return dump((request.method, request.args, request.kwargs))


def load_request(data: bytes) -> Invoke:
    """Read a typed request; see `load`."""
    request = load(data)
    assert isinstance(request, tuple)
    return Invoke(*request)


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


def dump_batch(sender: str, batch: Send, rows: list[Row]) -> bytes:
    """A batch as it travels."""
    header = (VERSION, sender, batch.first, batch.ack, batch.resync, batch.begun)
    return pickle.dumps((header, rows), protocol=5)


def load_batch(data: bytes) -> tuple[str, Send, list[Row]]:
    """Sender, batch and messages.

    Raises:
        LaneVersionError: The batch is of another version of the protocol.
    """
    header, rows = pickle.loads(data)
    if header[0] != VERSION:
        raise LaneVersionError(f"lane protocol {header[0]} met {VERSION}: run the same raybeam at both ends")
    _, sender, first, ack, resync, begun = header
    return sender, Send(first, len(rows), ack, resync, begun), rows


def dump_reply(reply: Replied, answers: list[Answer], depth: int) -> bytes:
    """The reply to a batch as it travels; `depth` is the queue depth of the service."""
    header = (reply.accepted, reply.limit, reply.first_answer, depth)
    return pickle.dumps((header, [tuple(answer) for answer in answers]), protocol=5)


def load_reply(data: bytes) -> tuple[Replied, list[tuple[int, int, bytes]], int]:
    """Reply, answers and queue depth."""
    (accepted, limit, first_answer, depth), rows = pickle.loads(data)
    return Replied(accepted, limit, first_answer, len(rows)), rows, depth


def answer_with_error(seq: int, error: BaseException) -> Answer:
    """The answer that raises `error` at the caller; what cannot travel is told in words."""
    status = SERVICE_ERROR if isinstance(error, ServiceError | InvalidArgumentsError) else FAILED
    try:
        payload = dump(error)
        load(payload)  # an exception with an `__init__` of its own may be written and yet not be read
        return Answer(seq, status, payload)
    except InvalidArgumentsError:
        told = f"{type(error).__name__}: {error}"
        plain = ServiceError(told) if status == SERVICE_ERROR else CallFailed(told)
        return Answer(seq, status, dump(plain))
