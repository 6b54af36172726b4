"""What a callee remembers of calls that must be done exactly once: which it has begun, and their answers.

After RIFL (Lee et al., *Implementing Linearizability at Large Scale and Low Latency*, SOSP 2015): each caller numbers
its calls, and each call says up to which number all answers have arrived, so that they may be forgotten. What a caller
that is gone has not settled is forgotten when no repetition can come any more, some time after the deadline.

The table belongs to the state of one process and ends with it: that is what `Origin.life` is for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

KEEP_BEYOND_DEADLINE_S: Final = 60.0
SWEEP_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Which call of which caller it is.

    Attributes:
        client: Unique name of the caller.
        number: Number of the call, counted from 1 by the caller.
        settled: The caller has the answers of all its calls up to this number.
        life: Which life of the callee's state it is meant for.
    """

    client: str
    number: int
    settled: int
    life: int


@dataclass(frozen=True, slots=True)
class Answered:
    """How a call ended: with `value`, or with the error `value` as its answer."""

    ok: bool
    value: object


class Known(Enum):
    """What is known of a call that arrives."""

    NEW = "new"
    UNDER_WAY = "under way"
    SETTLED = "settled"


Found: TypeAlias = Known | Answered


@dataclass(slots=True)
class _Caller:
    settled: int = 0
    answers: dict[int, Answered | None] = field(default_factory=dict)  # None: under way
    until: float = 0.0

    def settle(self, number: int) -> None:
        """The answers up to that number are not needed any more."""
        if number - self.settled > len(self.answers):  # one that was forgotten comes back
            self.answers = {kept: answer for kept, answer in self.answers.items() if kept > number}
        else:
            for settled in range(self.settled + 1, number + 1):
                self.answers.pop(settled, None)
        self.settled = number


class OnceTable:
    """Calls begun and answers given, by caller. Owned by one process; time is passed in.

    >>> table = OnceTable()
    >>> first = Origin("shop-1", number=1, settled=0, life=7)
    >>> table.begin(first, now=0.0, deadline=5.0)
    <Known.NEW: 'new'>
    >>> table.begin(first, now=0.1, deadline=5.0)
    <Known.UNDER_WAY: 'under way'>
    >>> table.finish(first, Answered(True, "done"))
    >>> table.begin(first, now=0.2, deadline=5.0)
    Answered(ok=True, value='done')
    >>> table.begin(Origin("shop-1", number=2, settled=1, life=7), now=0.3, deadline=5.0), len(table)
    (<Known.NEW: 'new'>, 1)
    >>> table.begin(first, now=0.4, deadline=5.0)
    <Known.SETTLED: 'settled'>
    """

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}
        self._sweep_at = 0.0

    def __len__(self) -> int:
        """How many calls are remembered."""
        return sum(len(caller.answers) for caller in self._callers.values())

    def begin(self, origin: Origin, now: float, deadline: float | None) -> Found:
        """A call arrives; if it is `NEW` it counts as begun from now on.

        Args:
            origin: Which call.
            now: The time.
            deadline: When its caller gives up; `None`: never, and its answer is kept until it is settled.
        """
        if now >= self._sweep_at:
            self._sweep(now)
        caller = self._callers.get(origin.client)
        if caller is None:
            caller = self._callers[origin.client] = _Caller()
        if origin.settled > caller.settled:
            caller.settle(origin.settled)
        if origin.number <= caller.settled:
            return Known.SETTLED
        until = float("inf") if deadline is None else deadline + KEEP_BEYOND_DEADLINE_S
        caller.until = max(caller.until, until)
        if origin.number in caller.answers:
            answer = caller.answers[origin.number]
            return Known.UNDER_WAY if answer is None else answer
        caller.answers[origin.number] = None
        return Known.NEW

    def finish(self, origin: Origin, answer: Answered) -> None:
        """A call that was begun has its answer."""
        caller = self._callers.get(origin.client)
        if caller is not None and origin.number in caller.answers:
            caller.answers[origin.number] = answer

    def _sweep(self, now: float) -> None:
        """Forget callers that cannot come again."""
        self._sweep_at = now + SWEEP_EVERY_S
        gone = [client for client, caller in self._callers.items() if caller.until < now]
        for client in gone:
            del self._callers[client]


class CallNumbers:
    """A caller's numbers for the calls that one callee must do once. Owned by the caller.

    Args:
        client: Unique name of the caller; never used again once its numbers are forgotten, as they begin anew then.

    Attributes:
        client: See above.
        settled: Nobody waits any more for the answers up to this number.

    >>> numbers = CallNumbers("shop-1")
    >>> numbers.take(), numbers.take(), numbers.settled
    (1, 2, 0)
    >>> numbers.settle(2)
    >>> numbers.settled, numbers.under_way
    (0, 2)
    >>> numbers.settle(1)
    >>> numbers.settled, numbers.under_way
    (2, 0)
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self._last = 0
        self._early: set[int] = set()
        self.settled = 0

    @property
    def under_way(self) -> int:
        """How many numbers the callee may have to remember."""
        return self._last - self.settled

    def take(self) -> int:
        """The number of a new call."""
        self._last += 1
        return self._last

    def settle(self, number: int) -> None:
        """The caller waits no longer for the answer to that call."""
        self._early.add(number)
        while self.settled + 1 in self._early:
            self.settled += 1
            self._early.remove(self.settled)
