"""What each family of a system is offered: by a blueprint, the calls between families, and a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from raybeam.actors import UsageError
from raybeam.autoscaler.kernel.demand import Demand
from raybeam.autoscaler.workload import hint, service_of, times_of

from .blueprint import Blueprint
from .call_graph import Member, visits
from .control import needs
from .import_path import import_object, make_here_importable
from .machine_types import checked_number
from .quantities import objective
from .scaling import slots_of

if TYPE_CHECKING:
    from raybeam.autoscaler.workload import Times


def demands_of(plain: Mapping[str, Any], rate: float, times: Times) -> dict[str, Demand]:
    """What each family is to carry.

    Args:
        plain: `slo`, `family`, `families`, `blueprint` and `entry` of a configuration.
        rate: Requests a second that come to the entry.
        times: How long its requests take, unless the configuration says it.

    Raises:
        UsageError: The configuration is wrong, or an objective cannot be held.
    """
    slo = objective(plain["slo"])
    members = _members(plain, times)
    demands: dict[str, Demand] = {}
    for name, per_request in visits(members, plain["entry"]).items():
        member = members[name]
        asked = slo if member.slo is None else objective(member.slo)
        assert member.times is not None
        try:
            demands[name] = Demand(
                rate * per_request,
                member.times.mean_s,
                asked.within_s,
                asked.share,
                asked.of,
                member.slots,
                member.times.cv,
                member.times.sizes,
                tuple(member.resources.items()),
            )
        except UsageError as error:
            raise UsageError(f"{name}: {error}" if len(members) > 1 else str(error)) from None
    return demands


def _members(plain: Mapping[str, Any], times: Times) -> dict[str, Member]:
    """The families of a blueprint, with what the configuration says of them; the entry's requests take `times`."""
    given: Mapping[str, Any] = plain["families"]
    family = plain["family"]
    default = Member(None, {}, family["slots"], family["resources"])
    members: dict[str, Member] = {}
    if plain["blueprint"] is not None:
        for name, spec in read_blueprint(plain["blueprint"]).families.items():
            slots = slots_of(spec, default=family["slots"])
            members[name] = Member(None, dict.fromkeys(spec.calls, 1.0), slots, needs(spec))
        for name in given:
            if name not in members:
                raise UsageError(f"families.{name}: the blueprint has no such family{hint(name, members)}")
    elif not given:
        return {"family": Member(times, {}, default.slots, default.resources)}
    for name, options in given.items():
        members[name] = _told(name, options, members.get(name, default))
    for name in visits(members, plain["entry"]):
        if members[name].times is None:
            members[name] = Member(
                times, members[name].calls, members[name].slots, members[name].resources, members[name].slo
            )
            break
    for name in visits(members, plain["entry"]):
        if members[name].times is None:
            raise UsageError(f"families.{name}.mean_s is missing: how long do its requests take?")
    return members


def _told(name: str, options: object, known: Member) -> Member:
    """A family with what the configuration says of it."""
    where = f"families.{name}"
    if not isinstance(options, Mapping):
        raise UsageError(f"{where}={options!r}: give its keys, {where}.mean_s=0.1 for example")
    keys = ("mean_s", "cv", "slots", "resources", "calls", "slo")
    for key in options:
        if key not in keys:
            raise UsageError(f"{where}.{key}: there is no such key{hint(str(key), keys)}")
    for key in ("resources", "calls"):
        value = options.get(key, {})
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}.{key}={value!r}: give a mapping, {where}.{key}.NAME=NUMBER")
    for key, value in {**options, **options.get("resources", {}), **options.get("calls", {})}.items():
        if key not in ("resources", "calls", "slo"):
            checked_number(f"{where}.{key}", value)
    times = known.times
    if "mean_s" in options:
        kind = {"kind": "lognormal", "cv": options.get("cv", 1.0)} if options.get("cv", 1.0) else {"kind": "constant"}
        service = service_of({"service": {**kind, "mean_s": options["mean_s"]}})
        assert service is not None
        times = times_of(service)
    elif "cv" in options:
        raise UsageError(f"{where}.cv is given and {where}.mean_s is not: how long do its requests take?")
    return Member(
        times,
        {**known.calls, **options.get("calls", {})},
        options.get("slots", known.slots),
        options.get("resources", known.resources),
        options.get("slo"),
    )


def read_blueprint(given: str) -> Blueprint:
    """The blueprint behind an import path, or in a file.

    Raises:
        UsageError: There is none.
        BlueprintError: It is wrong.
    """
    if given.endswith((".yaml", ".yml", ".json")):
        try:
            read = OmegaConf.to_container(OmegaConf.load(given), resolve=True)
        except Exception as error:  # noqa: BLE001 (of YAML, of OmegaConf, or of the file system: each in its words)
            raise UsageError(f"blueprint={given!r} cannot be read: {error}") from None
        return Blueprint.parse(read)  # type: ignore[arg-type]  # whatever it is, it is checked there
    make_here_importable()
    try:
        found = import_object(given)
    except ValueError as error:
        raise UsageError(f"blueprint: {error}") from None
    return Blueprint.parse(found)  # type: ignore[arg-type]  # whatever it is, it is checked there
