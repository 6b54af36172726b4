"""Specifications of a scenario's supervisors and children, as raybeam has them: right ones and wrong ones."""

from __future__ import annotations

from typing import Any

from raybeam.actors import SupervisorSpec
from tests.conformance import terms

Spec = dict[str, Any]
DEFAULTS = {"strategy": "one_for_one", "intensity": 1, "period": 5, "auto_shutdown": "never"}


def supervisor_specification(spec: Spec, children: list[object]) -> SupervisorSpec:
    """What the `init` of a supervisor returns."""
    flags = {name: terms.read(spec.get(name, default)) for name, default in DEFAULTS.items()}
    if isinstance(flags["period"], float):
        flags["period"] = terms.Refused(flags["period"])
    return SupervisorSpec(children, flags["strategy"], flags["intensity"], flags["period"], flags["auto_shutdown"])


def child_specification(child: Spec, start: object) -> object:
    """A child specification, with the keys that are given and no others."""
    if "not_a_map" in child:
        return terms.read(child["not_a_map"])
    spec: dict[str, object] = {"start": terms.read(child["start"]) if "start" in child else start}
    for key in ("id", "restart", "type", "significant"):
        if key in child:
            spec[key] = terms.read(child[key])
    if "shutdown" in child:
        spec["shutdown"] = to_seconds(child["shutdown"])
    if "modules" in child:
        spec["modules"] = _modules(terms.read(child["modules"]))
    return {key: value for key, value in spec.items() if key not in child.get("omit", ())}


def path_of(ids: list[Any]) -> str:
    """The path of a process from the ids that lead to it."""
    return "/".join(str(id_).lower() if isinstance(id_, bool) else str(id_) for id_ in ids)


def to_seconds(shutdown: Any) -> Any:
    """Milliseconds in seconds; what is no duration stays as it is, to be refused as it is."""
    if isinstance(shutdown, float):
        return terms.Refused(shutdown)
    whole = isinstance(shutdown, int) and not isinstance(shutdown, bool) and shutdown > 0
    return shutdown / 1000 if whole else terms.read(shutdown)


def to_ms(shutdown: Any) -> Any:
    """The opposite of `to_seconds`."""
    number = isinstance(shutdown, int | float) and not isinstance(shutdown, bool) and shutdown > 0
    return round(shutdown * 1000) if number else shutdown


def _modules(modules: Any) -> Any:
    """A list of modules; in Erlang a tuple is none, and `true` is a name like another."""
    if isinstance(modules, tuple):
        return terms.Refused(terms.write(modules))
    return [str(name) if isinstance(name, bool) else name for name in modules] if isinstance(modules, list) else modules
