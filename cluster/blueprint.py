"""The blueprint of a system: its families, how many replicas each has, where they are spread, how restarted."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from raybeam.actors import (
    BlueprintError,
    CoDel,
    Damper,
    DeadlineDrop,
    Fair,
    GenServer,
    Gradient,
    Priorities,
    Rate,
    Regulation,
)

from .import_path import import_object
from .kernel.breaker import BreakerSpec
from .kernel.health import HealthLimits
from .machine_spec import MachineSpec, carried_by
from .scaling import Scaling, cannot_scale
from .telemetry.options import TelemetryOptions

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
LONGEST_SHOWN = 120
_MENDS = {"tuple_type": "give a list", "dict_type": "give a mapping"}
REGULATION_PARTS: dict[str, type[CoDel | Rate | Gradient | Priorities | Fair | DeadlineDrop | Damper]] = {
    "codel": CoDel,
    "rate": Rate,
    "concurrency": Gradient,
    "priorities": Priorities,
    "fair": Fair,
    "deadlines": DeadlineDrop,
    "damper": Damper,
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class Family(_Strict):
    """All replicas of one service.

    Attributes:
        service: The class, a `GenServer`, or its import path as `"package.module:Class"`.
        args: Arguments of its `init`.
        pattern: How a call finds its replica: `"replicated"` (any; the less loaded of two drawn at random),
            `"singleton"` (there is one), `"ring"` (the one that the call's key belongs to) or `"broadcast"` (casts and
            `.broadcast()` go to all). Default `"replicated"`.
        bounded_load: In a `"ring"` of services that keep no state by key (caches, say): a replica with more than this
            many times the mean load leaves keys to the next one on the ring, 1.25 for example. Default: never.
        breaker: When callers stop calling a family that keeps failing: `BreakerSpec`, or its fields as a mapping.
            Default: never.
        replicas: How many; with `scaling` only at the start. Default 1.
        scaling: How their number follows the load: `Scaling`, or its fields as a mapping. Default: it stays, unless
            `System.scale` changes it.
        calls: Families that this one calls; others cannot be reached from it.
        cpus: Logical CPUs that each replica takes on its machine. Default 0.1.
        spread: Placement over machines: `"spread"` (distinct machines as long as there are enough),
            `"strict_spread"` (distinct machines, or wait) or `"pack"`. Default `"spread"`.
        restart: `"permanent"` (always), `"transient"` (after abnormal ends) or `"temporary"` (never).
        max_restarts: Restarts within `period_s` that the family bears before it gives up. Default 5.
        period_s: The window of `max_restarts`, seconds. Default 30.
        process_restarts: Crashes of the service's process within 5 s that the replica mends by itself before it
            gives up and is replaced whole. Default 3.
        start_timeout_s: Seconds that a replica may take to come up. Default 60.
        shutdown_s: Seconds that a replica may take to end in order; then it is killed. Default 5.
        regulation: How each replica is protected from more calls than it can serve: a `Regulation`, or its fields as a
            mapping. Default: what the class of the service says.
    """

    service: Any
    args: tuple[Any, ...] = ()
    pattern: Literal["replicated", "singleton", "ring", "broadcast"] = "replicated"
    bounded_load: float | None = Field(default=None, gt=1)
    breaker: BreakerSpec | None = None
    replicas: int = Field(default=1, ge=1, le=1000, strict=True)
    scaling: Scaling | None = None
    calls: tuple[Name, ...] = ()
    cpus: float = Field(default=0.1, gt=0)
    spread: Literal["spread", "strict_spread", "pack"] = "spread"
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    max_restarts: int = Field(default=5, ge=0, strict=True)
    period_s: float = Field(default=30.0, gt=0)
    process_restarts: int = Field(default=3, ge=0, strict=True)
    start_timeout_s: float = Field(default=60.0, gt=0)
    shutdown_s: float = Field(default=5.0, gt=0)
    regulation: Regulation | None = None

    @pydantic.field_validator("service")
    @classmethod
    def _importable(cls, service: object) -> object:
        resolve_service(service)
        return service

    @pydantic.model_validator(mode="after")
    def _args_that_init_takes(self) -> Family:
        service = self.service_class()
        signature = inspect.signature(service.init)
        try:
            signature.bind(service, *self.args)  # the class stands for `self`
        except TypeError as error:
            raise ValueError(f"args={self.args!r} do not fit {service.__name__}.init{signature}: {error}") from None
        return self

    @pydantic.model_validator(mode="after")
    def _one_singleton(self) -> Family:
        if self.pattern == "singleton" and self.replicas != 1:
            raise ValueError(f"a singleton has 1 replica, not {self.replicas}: leave it out, or use 'replicated'")
        if self.bounded_load is not None and self.pattern != "ring":
            raise ValueError(f"bounded_load is for a ring, not for pattern {self.pattern!r}: leave it out")
        return self

    @pydantic.model_validator(mode="after")
    def _scales(self) -> Family:
        scaling = self.scaling
        if scaling is None:
            return self
        fixed = cannot_scale(self)
        if fixed is not None:
            raise ValueError(f"scaling: {fixed}, or leave `scaling` out")
        if not scaling.min_replicas <= self.replicas <= scaling.max_replicas:
            raise ValueError(
                f"replicas={self.replicas} is not between scaling's min_replicas={scaling.min_replicas} and "
                f"max_replicas={scaling.max_replicas}"
            )
        return self

    def service_class(self) -> type[GenServer]:
        """The class itself."""
        return resolve_service(self.service)


class Blueprint(_Strict):
    """A whole system.

    Attributes:
        name: Name of the system, unique in its Ray cluster: small letters, digits, `-` and `_`.
        families: The families by name.
        machines: What machines may be had, by the names of their types: `MachineSpec`, or its fields as a mapping. Then
            the cluster's autoscaler is asked for as many as the families that scale need, ahead of need. Default: the
            machines that are up are all there are, and none are asked for.
        health: How long silence of a replica is borne: `HealthLimits`, or its fields as a mapping. Default: `beat_s`
            0.5, `unknown_after_s` 1.5, `down_after_s` 4.
        telemetry: What is measured and traced: `TelemetryOptions`, or its fields as a mapping. Default: metrics for
            Ray's dashboard, metrics and spans for an OpenTelemetry SDK that is configured.
        driver_timeout_s: Seconds without a sign of life from any driver after which a system that is not detached
            ends. Default 10.
        orphan_timeout_s: Seconds without a sign of life from the root after which a replica ends itself. Must be
            longer than Ray takes to see the loss of the root's machine and to restart the root elsewhere. Default 60.
        max_restarts: Times that whole families may fail within `period_s` before the system gives up. Default 3.
        period_s: The window of `max_restarts`, seconds. Default 60.
    """

    name: Name
    families: dict[Name, Family] = Field(min_length=1)
    machines: dict[Annotated[str, Field(min_length=1, max_length=100)], MachineSpec] = Field(default_factory=dict)
    health: HealthLimits = HealthLimits()
    telemetry: TelemetryOptions = TelemetryOptions()
    driver_timeout_s: float = Field(default=10.0, ge=2.0)
    orphan_timeout_s: float = Field(default=60.0, ge=2.0)
    max_restarts: int = Field(default=3, ge=0, strict=True)
    period_s: float = Field(default=60.0, gt=0)

    @pydantic.model_validator(mode="after")
    def _known_calls(self) -> Blueprint:
        for name, family in self.families.items():
            for callee in family.calls:
                if callee not in self.families:
                    close = get_close_matches(callee, self.families, n=1)
                    hint = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(self.families)}"
                    raise ValueError(f"families.{name}.calls names {callee!r}, which is no family{hint}")
        if self.orphan_timeout_s <= self.health.down_after_s:
            raise ValueError(
                f"orphan_timeout_s={self.orphan_timeout_s} must be above down_after_s={self.health.down_after_s}: "
                "else a replica would end itself before it is given up"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _machines_that_carry_them(self) -> Blueprint:
        for name, family in self.families.items():
            scaling = family.scaling
            if self.machines and scaling and not carried_by(family.cpus, scaling.machine_labels, self.machines):
                wants = f" and labels {dict(scaling.machine_labels)}" if scaling.machine_labels else ""
                raise ValueError(
                    f"families.{name} scales, and none of the machines ({', '.join(self.machines)}) carries a replica "
                    f"with cpus={family.cpus}{wants}"
                )
        return self

    @classmethod
    def parse(cls, data: Mapping[str, object] | Blueprint) -> Blueprint:
        """Read a blueprint.

        Raises:
            BlueprintError: With one line per problem: the field, what is wrong, and the value.
        """
        if isinstance(data, Blueprint):
            return data
        if not isinstance(data, Mapping):
            raise BlueprintError(
                f"a blueprint is a mapping of its fields or a Blueprint, not {_shown(data)}: "
                "write {'name': ..., 'families': {...}}, or read the file that holds them first"
            )
        try:
            return cls.model_validate(dict(data))
        except pydantic.ValidationError as error:
            raise BlueprintError("; ".join(_problems(error))) from None


def resolve_service(service: object) -> type[GenServer]:
    """The class behind `"package.module:Class"`, or the class itself.

    Raises:
        ValueError: It cannot be imported or is no `GenServer`.
    """
    found = import_object(service) if isinstance(service, str) else service
    if not (isinstance(found, type) and issubclass(found, GenServer)):
        raise ValueError(f"{service!r} is no service: derive the class from raybeam.actors.GenServer")
    return found


def _problems(error: pydantic.ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        if _is_of_another_form(problem["loc"], problem["input"]):
            continue
        where = ".".join(_told(problem["loc"]))
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            known = _fields_at(problem["loc"])
            close = get_close_matches(str(problem["loc"][-1]), known, n=1)
            message = "no such field" + (
                f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"
            )
        message = _MENDS.get(problem["type"], message)
        if problem["type"] == "dataclass_type":
            kind = str(problem.get("ctx", {}).get("class_name", ""))
            message = f"give a {kind}, or its fields as a mapping: {', '.join(_fields_at((*problem['loc'], '')))}"
        got = problem["input"]
        shown = "" if isinstance(got, dict | BaseModel) else f" (got {_shown(got)})"
        lines.append(f"{where or 'blueprint'}: {message}{shown}")
    return lines


def _told(location: tuple[int | str, ...]) -> list[str]:
    """A place without the names that pydantic gives to keys and to the forms of `concurrency`."""
    match location:
        case ("families", family, "regulation", "concurrency", _, *rest):
            return ["families", str(family), "regulation", "concurrency", *map(str, rest)]
        case _:
            return [str(part) for part in location if part != "[key]"]


def _is_of_another_form(location: tuple[int | str, ...], got: object) -> bool:
    """Whether a problem is that `concurrency`, a number or a `Gradient`, is not the one of them that it is not."""
    match location:
        case ("families", _, "regulation", "concurrency", "int"):
            return isinstance(got, Mapping)
        case ("families", _, "regulation", "concurrency", _):
            return not isinstance(got, Mapping)
        case _:
            return False


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """The fields that exist where a problem is."""
    match location:
        case ("health", _):
            return [field.name for field in fields(HealthLimits)]
        case ("machines", _, _):
            return list(MachineSpec.model_fields)
        case ("telemetry", _):
            return [field.name for field in fields(TelemetryOptions)]
        case ("families", _, "scaling", _):
            return list(Scaling.model_fields)
        case ("families", _, "breaker", _):
            return [field.name for field in fields(BreakerSpec)]
        case ("families", _, "regulation", str(part), *_, _) if part in REGULATION_PARTS:
            return [field.name for field in fields(REGULATION_PARTS[part])]
        case ("families", _, "regulation", _):
            return [field.name for field in fields(Regulation)]
        case ("families", _, _):
            return list(Family.model_fields)
        case _:
            return list(Blueprint.model_fields)


def _shown(value: object) -> str:
    """A value, short enough for one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
