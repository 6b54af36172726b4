"""Faults and schedules of them: drawn from a seed, printed, read again, and shrunk."""

from __future__ import annotations

import ast
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

from raybeam.actors import OptionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from random import Random


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        at_s: When, in virtual seconds since the system was up.
        for_s: For how long, where that means anything.
    """

    at_s: float
    for_s: float = 0.0

    @property
    def over_at_s(self) -> float:
        """When it is over."""
        return self.at_s + self.for_s


@dataclass(frozen=True, slots=True)
class LoseRequests(Fault):
    """A share of the messages does not arrive; their senders do not know."""

    share: float = 0.3


@dataclass(frozen=True, slots=True)
class LoseReplies(Fault):
    """A share of the replies does not arrive: what was asked was done, and its caller does not know."""

    share: float = 0.3


@dataclass(frozen=True, slots=True)
class Duplicate(Fault):
    """A share of the batches of lanes arrives twice."""

    share: float = 0.3


@dataclass(frozen=True, slots=True)
class Straggle(Fault):
    """A share of all messages takes up to 0.4 s and is overtaken."""

    share: float = 0.2


@dataclass(frozen=True, slots=True)
class Partition(Fault):
    """Nothing arrives from one machine at another, and back unless it is one-way."""

    sender: str = ""
    receiver: str = ""
    one_way: bool = False


@dataclass(frozen=True, slots=True)
class SlowMachine(Fault):
    """The processes of a machine stand still most of the time: `stall_s` in every 1.25 `stall_s`."""

    machine: str = ""
    stall_s: float = 0.1


@dataclass(frozen=True, slots=True)
class StopProcess(Fault):
    """A replica's OS process stands still (SIGSTOP)."""

    family: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class CrashService(Fault):
    """The service's process inside a replica crashes; its replica lives on."""

    family: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class ForgetLanes(Fault):
    """A replica forgets the lanes that lead to it, as after ten minutes in which it did not hear of them."""

    family: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class KillReplica(Fault):
    """A replica's OS process is killed (SIGKILL)."""

    family: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class KillRoot(Fault):
    """The root's OS process is killed; another comes `for_s` later."""


@dataclass(frozen=True, slots=True)
class KillDriver(Fault):
    """A driver's OS process is killed; another comes `for_s` later."""

    driver: int = 0


@dataclass(frozen=True, slots=True)
class KillMachine(Fault):
    """A machine is lost with all that runs on it; it comes back, empty, `for_s` later."""

    machine: str = ""


@dataclass(frozen=True, slots=True)
class Scale(Fault):
    """Nothing goes wrong: somebody scales a family."""

    family: str = ""
    replicas: int = 1


KINDS: tuple[type[Fault], ...] = (
    LoseRequests,
    LoseReplies,
    Duplicate,
    Straggle,
    Partition,
    SlowMachine,
    StopProcess,
    CrashService,
    ForgetLanes,
    KillReplica,
    KillRoot,
    KillDriver,
    KillMachine,
    Scale,
)
MOST_TIMES = 3
"""A family is scaled to at most so many times the replicas of its blueprint."""


@dataclass(frozen=True, slots=True)
class Places:
    """What there is to fail: replicas by family, machines and how many drivers; and which families scale."""

    replicas: Mapping[str, int]
    machines: tuple[str, ...]
    driver_machines: tuple[str, ...]
    scaled: tuple[str, ...] = ()


@dataclass(frozen=True)
class FaultMix:
    """Which faults are drawn, and how many.

    Attributes:
        kinds: The kinds of faults; one named twice is drawn twice as often. Default: all.
        least: The fewest faults of a schedule. Default 1.
        most: The most. Default 7.
        within_s: The faults begin within that many seconds. Default 4.5.
        longest_s: No fault lasts longer. Default 2.5.
    """

    kinds: tuple[type[Fault], ...] = KINDS
    least: int = 1
    most: int = 7
    within_s: float = 4.5
    longest_s: float = 2.5

    def __post_init__(self) -> None:
        if not self.kinds or not all(kind in KINDS for kind in self.kinds):
            known = ", ".join(kind.__name__ for kind in KINDS)
            raise OptionError(f"kinds={self.kinds!r}: give some of the classes of faults; there are: {known}")
        if not 0 <= self.least <= self.most:
            raise OptionError(f"least={self.least!r}, most={self.most!r}: need 0 <= least <= most")

    def draw(self, random: Random, places: Places) -> tuple[Fault, ...]:
        """Draw the faults of one schedule, in the order of time."""
        drawn = [self._one(random, places) for _ in range(random.randint(self.least, self.most))]
        return tuple(sorted(drawn, key=lambda fault: fault.at_s))

    def _one(self, random: Random, places: Places) -> Fault:
        kind = random.choice([kind for kind in self.kinds if kind is not Scale or places.scaled])
        at_s = round(random.uniform(0.05, self.within_s), 3)
        for_s = round(random.uniform(0.1, 1.0) * self.longest_s, 3)
        machines = places.machines
        if kind in (LoseRequests, LoseReplies, Duplicate, Straggle):
            return kind(at_s, for_s, share=round(random.uniform(0.1, 0.7), 2))
        if kind is Partition:
            sender, receiver = random.sample((*machines, *places.driver_machines), 2)
            return Partition(at_s, for_s, sender, receiver, one_way=random.random() < 0.4)
        if kind is SlowMachine:
            everywhere = (*machines, *places.driver_machines)
            return SlowMachine(at_s, for_s, random.choice(everywhere), stall_s=round(random.uniform(0.02, 0.5), 3))
        if kind is KillRoot:
            return KillRoot(at_s, for_s)
        if kind is KillDriver:
            return KillDriver(at_s, for_s, random.randrange(len(places.driver_machines)))
        if kind is KillMachine:
            return KillMachine(at_s, for_s, random.choice(machines))
        if kind is Scale:
            family = random.choice(places.scaled)
            return Scale(at_s, 0.0, family, random.randint(1, MOST_TIMES * places.replicas[family]))
        family = random.choice(list(places.replicas))
        index = random.randrange(places.replicas[family])
        return kind(at_s, for_s if kind is StopProcess else 0.0, family, index)  # type: ignore[call-arg]  # those have it


@dataclass(frozen=True, slots=True)
class FaultSchedule:
    """What goes wrong in one run, and the seed of everything else that is drawn in it.

    Its text (`str`) is what `parse` reads.

    >>> schedule = FaultSchedule(17, (KillRoot(1.5, 2.0), KillReplica(2.25, 0.0, "stock", 1)))
    >>> print(schedule)
    seed 17
    KillRoot(at_s=1.5, for_s=2.0)
    KillReplica(at_s=2.25, for_s=0.0, family='stock', index=1)
    >>> FaultSchedule.parse(str(schedule)) == schedule
    True
    """

    seed: int
    faults: tuple[Fault, ...] = ()

    KNOWN: ClassVar[dict[str, type[Fault]]] = {kind.__name__: kind for kind in KINDS}

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *map(repr, self.faults)])

    @property
    def over_at_s(self) -> float:
        """When the last fault is over."""
        return max((fault.over_at_s for fault in self.faults), default=0.0)

    def without(self, left_out: Iterable[Fault]) -> FaultSchedule:
        """The same with some faults left out."""
        out = list(left_out)
        return replace(self, faults=tuple(fault for fault in self.faults if fault not in out))

    @classmethod
    def parse(cls, text: str) -> FaultSchedule:
        """Read a printed schedule.

        Raises:
            UsageError: A line is no fault.
        """
        seed, faults = 0, []
        for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
            if line.startswith("seed "):
                seed = int(line.removeprefix("seed "))
            else:
                faults.append(cls._read(line))
        return cls(seed, tuple(faults))

    @classmethod
    def _read(cls, line: str) -> Fault:
        try:
            call = ast.parse(line, mode="eval").body
            assert isinstance(call, ast.Call)
            assert isinstance(call.func, ast.Name)
            kind = cls.KNOWN[call.func.id]
            given = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
            return kind(**given)
        except (SyntaxError, AssertionError, KeyError, TypeError, ValueError):
            known = ", ".join(
                f"{kind.__name__}({', '.join(field.name for field in fields(kind))})" for kind in cls.KNOWN.values()
            )
            raise UsageError(f"{line!r} is no fault; there are: {known}") from None
