"""What happened in a simulation: calls as their callers saw them, what the services did, and events."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybeam.actors.kernel.retry import Retry


LONGEST_SHOWN = 200


def shown(value: object) -> str:
    """A value in a line of text; of a large one its beginning, or how large it is."""
    if isinstance(value, bytes) and len(value) > LONGEST_SHOWN:
        return f"<{len(value)} bytes of {value[:1]!r}>"
    if type(value) is tuple:
        return f"({', '.join(map(shown, value))})"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


@dataclass(slots=True, eq=False)
class Invocation:
    """A call or cast, as its caller saw it.

    Attributes:
        number: Its number, from 1.
        caller: The name of the calling process.
        family: Which family it went to.
        method: Which method of the service.
        args: With what, positional first.
        kind: `"call"`, `"query"` or `"cast"`.
        retry: The method's retry strategy.
        began_at: When it was made, virtual seconds.
        until: Its deadline.
        in_turn: Whether its callee serves such calls in the order in which they come.
        ended_at: When its caller was told something; `None` while it was not.
        value: The answer.
        error: The exception that its caller got instead.
    """

    number: int
    caller: str
    family: str
    method: str
    args: tuple[object, ...]
    kind: str
    retry: Retry
    began_at: float
    until: float
    in_turn: bool = True
    ended_at: float | None = None
    value: object = None
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        """Whether its caller got an answer (of a cast: whether it is on its way)."""
        return self.ended_at is not None and self.error is None

    def __str__(self) -> str:
        told = "waits" if self.ended_at is None else shown(self.value if self.error is None else self.error)
        given = ", ".join(map(shown, self.args))
        return f"#{self.number} {self.caller} {self.kind} {self.family}.{self.method}({given}) -> {told}"


@dataclass(slots=True, eq=False)
class Execution:
    """A handler's run for an invocation: an effect, as far as anybody can see.

    Attributes:
        number: Of the invocation.
        replica: Where.
        life: Number of the service's process: a new one begins with a clean state.
        began_at: When.
        ended_at: When it was through; `None`: it never was.
        value: What it returned.
        error: What it raised.
    """

    number: int
    replica: str
    life: int
    began_at: float
    ended_at: float | None = None
    value: object = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether the handler came to its end and returned."""
        return self.ended_at is not None and self.error is None

    def __str__(self) -> str:
        told = "never ended" if self.ended_at is None else shown(self.value if self.error is None else self.error)
        return f"#{self.number} at {self.replica} (process {self.life}) -> {told}"


@dataclass(frozen=True, slots=True)
class Event:
    """Anything else that happened.

    Attributes:
        at: When, virtual seconds.
        kind: `"fault"`, `"root"`, or as a scenario's `note` named it.
        text: What.
        data: What a scenario's `note` gave along.
    """

    at: float
    kind: str
    text: str
    data: tuple[object, ...] = ()


@dataclass(slots=True)
class Installed:
    """A view that a client installed."""

    at: float
    client: str
    family: str
    epoch: int


@dataclass
class History:
    """Everything that happened, in order.

    Attributes:
        invocations: Calls and casts.
        executions: Runs of handlers.
        events: Everything else.
        views: Views as clients installed them.
        sent: The first sending of each message of a lane: lane, number in it, number of the invocation.
        replicas: Names of replicas, as they were created.
        left: What was found left in memory after the end, in words.
        missized: What was found then of families with more or fewer replicas than are wanted, in words.
        healed_at: When all was well again after the last fault; `None`: never.
        unhealed: What was not, in words.
        stalls: How long each process stood still in all, seconds.
        ended: When processes were killed, by name.
        faults_over_at: When the last fault was over.
        errors: Exceptions that nobody caught, in words.
        over_at: When the simulation was over.
        turns: How many callbacks the loop ran.
    """

    invocations: list[Invocation] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    views: list[Installed] = field(default_factory=list)
    sent: list[tuple[str, int, int]] = field(default_factory=list)
    replicas: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missized: list[str] = field(default_factory=list)
    healed_at: float | None = None
    unhealed: str = ""
    stalls: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    faults_over_at: float = 0.0
    errors: list[str] = field(default_factory=list)
    over_at: float = 0.0
    turns: int = 0

    def lines(self) -> list[tuple[float, str]]:
        """Everything in the order of time, as text."""
        told = [(event.at, f"{event.kind}: {event.text}") for event in self.events]
        for invocation in self.invocations:
            given = ", ".join(map(shown, invocation.args))
            asked = f"{invocation.kind} {invocation.family}.{invocation.method}({given})"
            told.append((invocation.began_at, f"#{invocation.number} {invocation.caller}: {asked}"))
            if invocation.ended_at is not None:
                answer = shown(invocation.value if invocation.error is None else invocation.error)
                told.append((invocation.ended_at, f"#{invocation.number} {invocation.caller} has {answer}"))
        for execution in self.executions:
            where = f"at {execution.replica} (process {execution.life})"
            told.append((execution.began_at, f"#{execution.number} runs {where}"))
            if execution.ended_at is not None:
                outcome = "is done" if execution.error is None else f"failed: {execution.error!r}"
                told.append((execution.ended_at, f"#{execution.number} {outcome} {where}"))
        return sorted(told, key=lambda line: line[0])

    def around(self, at: float, *numbers: int, before_s: float = 1.0, after_s: float = 1.0) -> list[str]:
        """The lines about some invocations, and the events around a time."""
        marks = tuple(f"#{number} " for number in numbers)
        shown = [
            (when, text)
            for when, text in self.lines()
            if text.startswith(marks) or (not text.startswith("#") and at - before_s <= when <= at + after_s)
        ]
        return [f"{when:9.4f}  {text}" for when, text in shown]

    def digest(self) -> str:
        """A hash of everything that happened: the same for the same seed, wherever it runs."""
        digest = hashlib.blake2b(digest_size=16)
        for when, text in self.lines():
            digest.update(f"{when:.9f} {text}\n".encode())
        for view in self.views:
            digest.update(f"{view.at:.9f} {view.client} {view.family} {view.epoch}\n".encode())
        digest.update(repr((self.turns, self.over_at, self.healed_at, self.sent, self.left, self.missized)).encode())
        return digest.hexdigest()
