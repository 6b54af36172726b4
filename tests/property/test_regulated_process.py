"""A regulated process under calls, casts, cancellations, suspensions: nothing is lost, stuck or done twice."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.actors import (
    CallTimeout,
    CoDel,
    Damper,
    DeadlineDrop,
    Fair,
    GenServer,
    Gradient,
    Overflow,
    Overloaded,
    Priorities,
    Rate,
    Regulation,
    Runtime,
    Sample,
    call,
    calling_as,
    cast,
    gen_server,
    query,
)
from raybeam.actors.testing import run, settle


class Desk(GenServer):
    async def init(self) -> None:
        self.begun: list[int] = []

    @call(timeout_s=20.0)
    async def serve(self, number: int, seconds: float) -> int:
        self.begun.append(number)
        await asyncio.sleep(seconds)
        return number

    @query(concurrent=True, timeout_s=20.0)
    async def look(self, number: int, seconds: float) -> int:
        self.begun.append(number)
        await asyncio.sleep(seconds)
        return number

    @cast
    async def note(self, number: int) -> None:
        self.begun.append(number)


in_order = st.fixed_dictionaries(
    {},
    optional={
        "queue_limit": st.integers(1, 6),
        "overflow": st.sampled_from(Overflow),
        "codel": st.just(CoDel(0.2, 1.0)),
        "deadlines": st.just(DeadlineDrop()),
    },
)
out_of_order = st.fixed_dictionaries(
    {},
    optional={
        "queue_limit": st.integers(1, 6),
        "overflow": st.sampled_from(Overflow),
        "rate": st.builds(Rate, st.sampled_from([1.0, 5.0]), st.integers(1, 2), st.sampled_from([0.0, 3.0])),
        "concurrency": st.one_of(st.integers(1, 3), st.just(Gradient(1, 1, 4, window_s=0.5, window_calls=2))),
        "priorities": st.just(Priorities({"high": 0.5, "low": 0.2})),
        "fair": st.just(Fair()),
        "damper": st.just(Damper(calm_s=1.0)),
    },
)
happenings = st.lists(
    st.tuples(
        st.sampled_from(["serve", "serve", "serve", "look", "note", "cancel", "suspend", "resume", "wait"]),
        st.sampled_from([0.0, 0.3, 2.0]),
        st.sampled_from(["", "high", "low"]),
        st.integers(0, 9),
    ),
    max_size=40,
)
Happening = tuple[str, float, str, int]


async def play(regulation: Regulation, events: list[Happening]) -> tuple[list[int], dict[int, object]]:
    """What was begun, in order, and what became of each call."""
    async with Runtime() as runtime:
        runtime.load = lambda: Sample(0.5 + 0.5 * (int(runtime.now()) % 2), 0.1)
        pid = await gen_server.start(Desk, regulation=regulation)
        desk = gen_server.ref(Desk, pid)
        calls: dict[int, asyncio.Task[int]] = {}
        for number, (kind, seconds, name, which) in enumerate(events):
            if kind in ("serve", "look"):
                with calling_as(tenant=name, priority=name):
                    calls[number] = asyncio.ensure_future(getattr(desk, kind)(number, seconds))
                await asyncio.sleep(0)
            elif kind == "note":
                await desk.note(number)
            elif kind == "cancel" and calls:
                calls[sorted(calls)[which % len(calls)]].cancel()
            elif kind == "suspend":
                await gen_server.suspend(pid, timeout_s=None)
            elif kind == "resume":
                await gen_server.resume(pid, timeout_s=None)
            elif kind == "wait":
                await asyncio.sleep(seconds)
        await settle()
        await gen_server.resume(pid, timeout_s=None)
        ended = await asyncio.gather(*calls.values(), return_exceptions=True)
        await settle()
        counters = gen_server.regulation_counters(pid)
        cell = runtime.cell(pid)
        assert counters is not None
        assert cell is not None
        assert not cell.calls
        assert (counters.depth, counters.under_way) == (0, 0)
        assert counters.accepted == counters.begun + sum(counters.dropped.values())
        assert counters.casts == sum(kind == "note" for kind, *_ in events)
        assert len(cell.mailbox) == 0
        state = await gen_server.get_state(pid, timeout_s=None)
        assert isinstance(state, dict)
        return state["begun"], dict(zip(calls, ended, strict=True))


def check_outcomes(begun: list[int], ended: dict[int, object]) -> None:
    times = Counter(begun)
    for number, outcome in ended.items():
        if outcome == number and not isinstance(outcome, BaseException):
            assert times[number] == 1
        elif isinstance(outcome, Overloaded):
            assert times[number] == 0
        else:
            assert isinstance(outcome, CallTimeout | asyncio.CancelledError)
            assert times[number] <= 1


@settings(deadline=None)
@given(in_order, happenings)
def test_what_is_not_reordered_on_purpose_is_begun_in_the_order_in_which_it_came(
    options: dict[str, object], events: list[Happening]
) -> None:
    begun, ended = run(play(Regulation(**options), events))  # type: ignore[arg-type]  # checked by the strategy

    check_outcomes(begun, ended)
    assert begun == sorted(begun)
    assert {number for number, (kind, *_) in enumerate(events) if kind == "note"} <= set(begun)


@settings(deadline=None)
@given(out_of_order, happenings)
def test_whatever_is_limited_and_reordered_every_call_has_its_outcome(
    options: dict[str, object], events: list[Happening]
) -> None:
    begun, ended = run(play(Regulation(**options), events))  # type: ignore[arg-type]  # checked by the strategy

    check_outcomes(begun, ended)
