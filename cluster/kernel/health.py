"""Whether a replica is up, down, or nobody can say: three values, because silence is not death."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Health(Enum):
    """`UNKNOWN` gets no new calls but keeps its place; only `DOWN` is replaced."""

    UP = "up"
    UNKNOWN = "unknown"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """How long silence is borne.

    Attributes:
        beat_s: Seconds between two heartbeats.
        unknown_after_s: Seconds of silence after which a replica is `UNKNOWN`.
        down_after_s: Seconds of silence after which it is given up.
    """

    beat_s: float = 0.5
    unknown_after_s: float = 1.5
    down_after_s: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.beat_s < self.unknown_after_s < self.down_after_s:
            raise ValueError(
                f"beat_s={self.beat_s!r}, unknown_after_s={self.unknown_after_s!r}, "
                f"down_after_s={self.down_after_s!r}: need 0 < beat_s < unknown_after_s < down_after_s"
            )


@dataclass(frozen=True, slots=True)
class Pulse:
    """When a replica was last heard, and what that makes it."""

    heard_at: float
    health: Health = Health.UP


def heard(pulse: Pulse, now: float) -> Pulse:
    """It answered. The dead stay dead: a replica given up does not come back under the same incarnation."""
    if pulse.health is Health.DOWN:
        return pulse
    return Pulse(now, Health.UP)


def not_asked(pulse: Pulse, late_s: float) -> Pulse:
    """Leave time out of the silence in which nobody listened: a stall of the asker is not the asked one's fault.

    Args:
        pulse: Before.
        late_s: Seconds by which the asker was behind its own clock; nothing changes when it was not.

    >>> not_asked(Pulse(10.0), 2.5).heard_at, not_asked(Pulse(10.0), -0.1).heard_at
    (12.5, 10.0)
    """
    return replace(pulse, heard_at=pulse.heard_at + max(0.0, late_s))


def check(pulse: Pulse, limits: HealthLimits, now: float) -> Pulse:
    """Judge the silence; a silence of exactly a limit is still borne."""
    silence = now - pulse.heard_at
    if pulse.health is Health.DOWN or silence > limits.down_after_s:
        return replace(pulse, health=Health.DOWN)
    return replace(pulse, health=Health.UNKNOWN if silence > limits.unknown_after_s else Health.UP)
