"""The machines that a blueprint says may be had."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (pydantic reads the annotations)
from typing import TYPE_CHECKING, Annotated

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from raybeam.autoscaler import MachineType

if TYPE_CHECKING:
    from .blueprint import Blueprint


class MachineSpec(BaseModel):
    """One type of machine, as in the configuration of the cluster.

    Attributes:
        resources: What a machine has, by Ray's names: `{"CPU": 4}`. Give no more than Ray reports of one: what is asked
            for is as large as a whole machine, and a request that does not fit is not met at all.
        price: Of an hour, in any currency: of types that fit, the cheapest is taken. Default 1.
        boot_s: Seconds from asking for one until it is up, until some were measured. Default 45.
        labels: What it is labelled with. Default: nothing.
        min_machines: There are never fewer. Default 0.
        max_machines: Nor more, as in the configuration of the cluster. Default 10.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    resources: Mapping[str, Annotated[float, Field(ge=0)]]
    price: float = Field(default=1.0, ge=0)
    boot_s: float = Field(default=45.0, ge=0)
    labels: Mapping[str, str] = Field(default_factory=dict)
    min_machines: int = Field(default=0, ge=0, strict=True)
    max_machines: int = Field(default=10, ge=0, strict=True)

    @pydantic.model_validator(mode="after")
    def _possible(self) -> MachineSpec:
        if not any(self.resources.values()):
            raise ValueError("a machine without resources carries nothing: give resources, {'CPU': 4} for example")
        if self.max_machines < self.min_machines:
            raise ValueError(f"max_machines={self.max_machines} is below min_machines={self.min_machines}")
        return self


def machines_of(blueprint: Blueprint) -> list[MachineType]:
    """The types of machines that may be had; none: the cluster has no autoscaler."""
    return [
        MachineType(
            name, spec.resources, spec.price, spec.boot_s, dict(spec.labels), spec.min_machines, spec.max_machines
        )
        for name, spec in blueprint.machines.items()
    ]


def carried_by(cpus: float, labels: Mapping[str, str], machines: Mapping[str, MachineSpec]) -> bool:
    """Whether a machine of some type that may be had carries a replica."""
    return any(
        spec.max_machines > 0 and spec.resources.get("CPU", 0.0) >= cpus and labels.items() <= spec.labels.items()
        for spec in machines.values()
    )
