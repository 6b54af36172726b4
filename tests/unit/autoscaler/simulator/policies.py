"""Policies for tests: a script of sizes, or whatever a function says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybeam.autoscaler.kernel.policy import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybeam.autoscaler.kernel.snapshot import Snapshot


@dataclass(frozen=True)
class Fixed:
    """Always the same."""

    replicas: int
    machines: int | None = None

    def start(self) -> None:
        return None

    def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
        return Decision(self.replicas, self.machines), None


@dataclass(frozen=True)
class Saying:
    """What a function of the snapshot says; the state is all snapshots so far."""

    replicas: Callable[[Snapshot], int]
    seen: list[Snapshot]

    def start(self) -> int:
        return 0

    def decide(self, snapshot: Snapshot, state: int) -> tuple[Decision, int]:
        self.seen.append(snapshot)
        return Decision(self.replicas(snapshot)), state + 1


def at_times(*steps: tuple[float, int]) -> Saying:
    """The size of the last step whose time has come."""
    return Saying(lambda snapshot: [size for at, size in steps if at <= snapshot.time_s][-1], [])
