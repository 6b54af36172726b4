"""What a server's callbacks may return."""

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from raybeam.actors.kernel.server import ABSENT, NoReply, Ok, Reply


@pytest.mark.parametrize("make", [Ok, NoReply, lambda **options: Reply("value", **options)])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout_s": -1.0}, "timeout_s=-1.0: give seconds, 0 or more"),
        ({"timeout_s": float("nan")}, "timeout_s=nan: give seconds, 0 or more"),
        ({"timeout_s": 1.0, "continue_with": "more"}, "timeout_s and continue_with exclude each other"),
    ],
)
def test_a_wrong_option_names_its_mend(make: Callable[..., object], options: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make(**options)


def test_a_reply_is_a_frozen_value_like_the_other_returns() -> None:
    reply = Reply("value", continue_with="more")

    assert reply == Reply("value", continue_with="more") != Reply("value")
    assert hash(reply) == hash(Reply("value", continue_with="more"))
    assert replace(reply, value="other") == Reply("other", continue_with="more")
    assert repr(Reply(1)) == "Reply(timeout_s=None, continue_with=ABSENT, hibernate=False, value=1)"
    with pytest.raises(FrozenInstanceError):
        reply.value = "other"  # type: ignore[misc]  # what must fail


def test_what_is_absent_stays_so_in_another_process() -> None:
    assert pickle.loads(pickle.dumps(ABSENT)) is ABSENT
    assert pickle.loads(pickle.dumps(Reply("value"))) == Reply("value")
