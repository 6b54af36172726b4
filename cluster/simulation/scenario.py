"""What is simulated: a system, what its drivers do, which faults it meets and which promises it must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..blueprint import Blueprint
from ..scaling import cannot_scale
from .faults import FaultMix, Places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .cluster import Driver, SimulatedCluster
    from .promises import Promise


class Scenario:
    """Base of scenarios; subclass it.

    Set `blueprint`, override `drive`, and `probe` too if you like: see `docs/simulation.md`.

    Attributes:
        blueprint: Of the system; a mapping as `System.start` takes it. Its limits on restarts should be wide: a system
            that gives up has broken the promise to heal.
        machines: How many machines there are. Default 3.
        drivers: How many drivers run `drive` at the same time. Default 2.
        mix: Which faults are drawn. Default: all kinds, 1 to 7 of them, within 4.5 s.
        runs_for_s: Virtual seconds after which drivers that still run are waited for no longer. Default 30.
        heals_within_s: Virtual seconds within which all must be well after the last fault. Default 30.
        promises: More promises, beside those that every system must hold. Default: none.
    """

    blueprint: ClassVar[Mapping[str, Any]]
    machines: ClassVar[int] = 3
    drivers: ClassVar[int] = 2
    mix: ClassVar[FaultMix] = FaultMix()
    runs_for_s: ClassVar[float] = 30.0
    heals_within_s: ClassVar[float] = 30.0
    promises: ClassVar[Sequence[Promise]] = ()

    async def drive(self, driver: Driver) -> None:
        """What a driver does; a driver that comes after a crash begins anew.

        A call that fails may end it; any other exception is a mistake and breaks a promise.
        """
        raise NotImplementedError

    async def probe(self, driver: Driver) -> None:
        """A call that must succeed when all is well again; tried until it does. Default: nothing is called."""

    async def check(self, cluster: SimulatedCluster) -> None:
        """Look at the system when all is well again, and `note` what a promise needs to know. Default: nothing."""

    @classmethod
    def parsed(cls) -> Blueprint:
        """The blueprint, parsed once."""
        found = cls.__dict__.get("_parsed")
        if found is None:
            found = Blueprint.parse(cls.blueprint)
            cls._parsed = found  # type: ignore[attr-defined]  # kept by each class for itself
        assert isinstance(found, Blueprint)
        return found

    @classmethod
    def places(cls) -> Places:
        """What there is to fail."""
        families = cls.parsed().families
        return Places(
            {name: family.replicas for name, family in families.items()},
            tuple(f"m{number}" for number in range(cls.machines)),
            tuple(f"d{number}" for number in range(cls.drivers)),
            tuple(name for name, family in families.items() if cannot_scale(family) is None),
        )
