"""The table of machines that `ray up` started on this one: which there are, where each is, and which are lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_NUMBER = 2
LAST_NUMBER = 254
HEAD_NUMBER = 1


@dataclass(frozen=True, slots=True)
class ProcessId:
    """An OS process, also after its number was given to another one.

    Attributes:
        pid: Its number.
        started: When it was started, seconds since the epoch.
    """

    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine.

    Attributes:
        serial: Counts the machines of a cluster; never given twice.
        number: The last part of its address, which a later machine may get.
        tags: What Ray's autoscaler notes about it.
        ports: Those that are its own, by what they are for.
        installer: The process that sets it up, or did it last.
        up: Whether it is set up: Ray was started on it.
        ended: Whether it is to be no more; its processes may still be there.
        lost: Whether it ended by itself.
    """

    serial: int
    number: int
    tags: Mapping[str, str]
    ports: Mapping[str, int]
    installer: ProcessId
    up: bool = False
    ended: bool = False
    lost: bool = False

    @property
    def is_head(self) -> bool:
        """Whether the others join this one."""
        return self.number == HEAD_NUMBER


@dataclass(frozen=True, slots=True)
class Life:
    """What was seen of a machine's processes.

    Attributes:
        raylet: Whether the process is there that makes it a member of the cluster.
        installer: Whether the process is there that sets it up.
    """

    raylet: bool
    installer: bool


@dataclass(frozen=True, slots=True)
class MachineTable:
    """All machines of a cluster.

    Attributes:
        machines: By serial, those that have ended but may have processes included.
        last_serial: The last one given; 0: none was.
        last_number: The last one given to a worker.
    """

    machines: Mapping[int, Machine] = field(default_factory=dict)
    last_serial: int = 0
    last_number: int = FIRST_NUMBER - 1

    def free_number(self) -> int | None:
        """The number for the next worker, the one that was free for longest; `None`: there is none left."""
        taken = {machine.number for machine in self.machines.values()}
        span = LAST_NUMBER - FIRST_NUMBER + 1
        candidates = (FIRST_NUMBER + (self.last_number - FIRST_NUMBER + 1 + step) % span for step in range(span))
        return next((number for number in candidates if number not in taken), None)

    def with_new(
        self, number: int, tags: Mapping[str, str], ports: Mapping[str, int], installer: ProcessId
    ) -> tuple[MachineTable, Machine]:
        """The table with one machine more, and that machine."""
        machine = Machine(self.last_serial + 1, number, dict(tags), dict(ports), installer)
        last_number = self.last_number if machine.is_head else number
        return MachineTable({**self.machines, machine.serial: machine}, machine.serial, last_number), machine

    def with_tags(self, serial: int, tags: Mapping[str, str], installer: ProcessId | None, up: bool) -> MachineTable:
        """The table with tags set.

        Args:
            serial: Of the machine.
            tags: Added to those that it has.
            installer: The process that sets it up now; `None`: as before.
            up: Whether it is set up.
        """
        old = self.machines[serial]
        new = replace(old, tags={**old.tags, **tags}, installer=installer or old.installer, up=up)
        return replace(self, machines={**self.machines, serial: new})

    def with_ended(self, serials: set[int], lost: bool = False) -> MachineTable:
        """The table with machines marked as ended; those that it has not are ignored."""
        machines = {
            serial: replace(machine, ended=True, lost=lost or machine.lost) if serial in serials else machine
            for serial, machine in self.machines.items()
        }
        return replace(self, machines=machines)

    def without(self, serials: set[int]) -> MachineTable:
        """The table without machines, whose numbers are free again."""
        return replace(
            self, machines={serial: machine for serial, machine in self.machines.items() if serial not in serials}
        )

    def living(self, tags: Mapping[str, str]) -> list[Machine]:
        """The machines that have not ended and have these tags."""
        return [
            machine
            for machine in self.machines.values()
            if not machine.ended and all(machine.tags.get(name) == value for name, value in tags.items())
        ]

    def ended(self) -> list[Machine]:
        """The machines that have ended."""
        return [machine for machine in self.machines.values() if machine.ended]


def is_lost(machine: Machine, life: Life) -> bool:
    """Whether a machine has ended by itself: its raylet is gone, or who set it up is gone before that was done.

    >>> new = Machine(1, 2, {}, {}, ProcessId(10, 0.0))
    >>> is_lost(new, Life(raylet=False, installer=True)), is_lost(new, Life(raylet=True, installer=False))
    (False, True)
    >>> is_lost(replace(new, up=True), Life(raylet=True, installer=False))
    False
    """
    return not (life.raylet if machine.up else life.installer)


def to_plain(table: MachineTable) -> dict[str, object]:
    """The table as what JSON can hold."""
    return {**asdict(table), "machines": [asdict(machine) for machine in table.machines.values()]}


def from_plain(plain: Mapping[str, object]) -> MachineTable:
    """The table again.

    Raises:
        ValueError: It is none.

    >>> table, _ = MachineTable().with_new(1, {"kind": "head"}, {"agent": 7}, ProcessId(3, 4.5))
    >>> from_plain(to_plain(table)) == table
    True
    """
    match plain:
        case {"machines": list(rows), "last_serial": int(last_serial), "last_number": int(last_number)}:
            machines = [_machine(row) for row in rows]
            return MachineTable({machine.serial: machine for machine in machines}, last_serial, last_number)
        case _:
            raise ValueError("not a table of machines")


def _machine(row: object) -> Machine:
    match row:
        case {
            "serial": int(serial),
            "number": int(number),
            "tags": dict(tags),
            "ports": dict(ports),
            "installer": {"pid": int(pid), "started": float(started)},
            "up": bool(up),
            "ended": bool(ended),
            "lost": bool(lost),
        }:
            return Machine(serial, number, tags, ports, ProcessId(pid, started), up, ended, lost)
        case _:
            raise ValueError(f"not a machine: {row!r}")
