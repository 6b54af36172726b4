"""What the flights job can be told, and the blueprint that follows from it."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic import BaseModel, ConfigDict, Field, model_validator

from examples.flights.day import DATA
from raybeam.actors import UsageError
from raybeam.cluster import Blueprint
from raybeam.cluster.blueprint import Name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

HABITS_S = 6 * 3600.0
SYSTEM_KEYS = (
    "name",
    "rebooking_replicas",
    "rebooking_most",
    "rebooking_cpus",
    "rebooking_wait_s",
    "fares_s",
    "machines",
)


class FlightsConfig(BaseModel):
    """The groups `system=flights` and `workload=...` together; what each key means stands in the config files."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: Name = "flights"
    rebooking_replicas: int = Field(ge=1, le=100)
    rebooking_most: int | None = Field(ge=1, le=100)
    rebooking_cpus: float = Field(gt=0, le=64)
    rebooking_wait_s: float = Field(gt=0, le=60)
    fares_s: float = Field(ge=0, le=60)
    machines: dict[str, Any]
    day: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    speedup: float = Field(ge=0.01, le=1e6)
    kill_at: float | None = Field(ge=0, le=1)
    until_min: int | None = Field(gt=0)
    after_s: float = Field(ge=0, le=3600)
    data: str | None

    @model_validator(mode="after")
    def _most_is_most(self) -> FlightsConfig:
        if self.rebooking_most is not None and self.rebooking_most < self.rebooking_replicas:
            raise ValueError(
                f"system.rebooking_most={self.rebooking_most} is below rebooking_replicas={self.rebooking_replicas}"
            )
        return self

    @classmethod
    def parse(cls, system: Mapping[str, object], workload: Mapping[str, object]) -> FlightsConfig:
        """Read the two groups.

        Raises:
            UsageError: A key is wrong; says which and how.
        """
        try:
            return cls.model_validate({**system, **workload})
        except pydantic.ValidationError as error:
            raise UsageError("; ".join(_problem(problem, workload) for problem in error.errors())) from None

    @property
    def folder(self) -> Path:
        """Where the days are."""
        return DATA if self.data is None else Path(self.data).absolute()

    @property
    def minute_s(self) -> float:
        """Seconds that a minute of the day takes."""
        return 60.0 / self.speedup

    def blueprint(self, seed: int) -> Blueprint:
        """The operations centre."""
        services, folder = "examples.flights.services", str(self.folder)
        rebooking: dict[str, Any] = {
            "service": f"{services}:Rebooking",
            "args": (self.day, seed, folder, self.fares_s),
            "replicas": self.rebooking_replicas,
            "cpus": self.rebooking_cpus,
            "calls": ["airports"],
        }
        if self.rebooking_most is not None:
            rebooking["scaling"] = {
                "max_replicas": self.rebooking_most,
                # The day is played faster than life: what was learned of its habits fades within hours of it.
                "options": {"wait_s": self.rebooking_wait_s, "memory_s": HABITS_S / self.speedup},
            }
        return Blueprint.parse(
            {
                "name": self.name,
                "machines": self.machines,
                "families": {
                    "airports": {
                        "service": f"{services}:Airports",
                        "args": (self.day, seed, folder),
                        "pattern": "singleton",
                    },
                    "rebooking": rebooking,
                    "flights": {
                        "service": f"{services}:Flights",
                        "args": (self.day, seed, self.minute_s, folder),
                        "pattern": "singleton",
                        "calls": ["airports", "rebooking"],
                    },
                    "feed": {"service": f"{services}:Feed", "pattern": "singleton", "calls": ["flights"]},
                },
            }
        )


def _problem(problem: ErrorDetails, workload: Mapping[str, object]) -> str:
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    key = str(problem["loc"][0])
    known = FlightsConfig.model_fields
    group = "workload" if key in workload or (key in known and key not in SYSTEM_KEYS) else "system"
    match problem["type"]:
        case "missing":
            return f"{group}.{key} is missing"
        case "extra_forbidden":
            there = [name for name in known if (name in SYSTEM_KEYS) == (group == "system")]
            close = get_close_matches(key, there, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(there)}"
            return f"{group}.{key}: no such key; {hint}"
        case _:
            return f"{group}.{key}={problem['input']!r}: {problem['msg']}"
