"""Errors survive the way to another process."""

import pickle

import pytest

from raybeam.actors import (
    AlreadyRegistered,
    BlueprintError,
    CallbackError,
    CallFailed,
    CallingSelf,
    CallTimeout,
    ChildError,
    CircuitOpen,
    Disconnected,
    Exit,
    HandlerError,
    InvalidSpecError,
    NoProcess,
    Overloaded,
    Pid,
    ServiceError,
    StartError,
    UnknownMethodError,
)
from raybeam.actors.delivery import Invoke
from raybeam.actors.kernel.reason import Crashed

ERRORS = [
    AlreadyRegistered("lamp", Pid("r", 1)),
    BlueprintError("families.x.replicas: must be 1 or more"),
    CallbackError("undef", "Door has no state function 'open'"),
    CallFailed(Crashed(ValueError("x")), ("dest", "request")),
    CallingSelf(("dest", "request")),
    CallTimeout(("dest", "request")),
    ChildError("not_found"),
    Disconnected(("dest", "request")),
    Exit("boom"),
    HandlerError("bad_module", "handler X is not installed"),
    InvalidSpecError(("invalid_shutdown", -1), "shutdown=-1: seconds"),
    NoProcess(),
    Overloaded(("dest", "request"), 0.5),
    ServiceError("no"),
    StartError(("already_started", 1)),
    StartError(("bad_return_value", 1), "init() returned 1: return None"),
    UnknownMethodError("Till offers no method 'undo'"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert {key: str(value) for key, value in vars(copy).items()} == {
        key: str(value) for key, value in vars(error).items()
    }


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            CallTimeout(("shop/stock", Invoke("take", (3,), {"now": True}))),
            (
                "timeout: no answer before the deadline; whether it was done is not known "
                "(calling shop/stock.take(3, now=True))"
            ),
        ),
        (
            CallTimeout(("shop/stock", Invoke("take", (), {})), sent=False),
            "timeout: there was nobody to send it to before the deadline; it was not done (calling shop/stock.take())",
        ),
        (NoProcess(), "noproc: nobody lives there (any more); it was not done"),
        (
            Disconnected(("shop/stock", "plain request")),
            (
                "noconnection: the callee was lost while it was asked; whether it was done is not known "
                "(calling ('shop/stock', 'plain request'))"
            ),
        ),
        (
            CircuitOpen(("shop/stock", Invoke("f", (3,), {})), 0.51234),
            "circuit_open: not sent, too many calls failed lately; try again after 0.512 s (calling shop/stock.f(3))",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failed_call_tells_what_is_known_of_it_and_the_call_as_it_was_written(error: Exception, told: str) -> None:
    assert str(error) == told
