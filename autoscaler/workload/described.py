"""A trace from its description in plain data, as configurations give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING, Any

from raybeam.actors import UsageError

from .arrivals import draw
from .files import TraceFile, read_trace
from .rates import Diurnal, FlashCrowd, Ramp, Spikes, Steady, on_off
from .service import Constant, Exponential, LogNormal, Pareto

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .rates import Rate
    from .service import Service
    from .trace import Trace

SHAPES: dict[str, type[Any]] = {
    "steady": Steady,
    "diurnal": Diurnal,
    "ramp": Ramp,
    "flash_crowd": FlashCrowd,
    "spikes": Spikes,
}
SERVICES: dict[str, type[Any]] = {
    "constant": Constant,
    "exponential": Exponential,
    "lognormal": LogNormal,
    "pareto": Pareto,
}
ON_OFF = ("low_per_s", "high_per_s", "off_s", "on_s")
KEYS = ("name", "duration_s", "service", "shape", "file")


def trace_of(load: Mapping[str, Any], seed: int) -> Trace:
    """The trace that a description means.

    Args:
        load: `service`, with its `kind` (constant, exponential, lognormal, pareto) and the fields of that class; and
            either `shape`, with its `kind` (steady, diurnal, ramp, flash_crowd, spikes, on_off) and fields, and
            `duration_s`; or `file`, with the fields of `TraceFile`. A file with sizes needs no `service`.
        seed: The same seed gives the same trace.

    Raises:
        UsageError: A key is unknown or missing, or a value is not possible.

    >>> from raybeam.autoscaler.workload import trace_of
    >>> shape, service = {"kind": "steady", "per_s": 5.0}, {"kind": "constant", "mean_s": 0.2}
    >>> round(trace_of({"shape": shape, "service": service, "duration_s": 60.0}, seed=1).offered)
    1
    """
    shape, file = _checked(load)
    service = service_of(load)
    if file is not None:
        return read_trace(_filled("load.file", TraceFile, file), service, seed)
    assert shape is not None
    if service is None:
        raise UsageError("load.service is missing: how long do requests take?")
    duration_s = _number("load.duration_s", load.get("duration_s"))
    name = str(load.get("name") or shape.get("kind"))
    onset_s = shape.get("start_s") if shape.get("kind") in ("flash_crowd", "ramp") else None
    return draw(name, _rate(shape, duration_s, seed), service, duration_s, seed, onset_s=onset_s)


def service_of(load: Mapping[str, Any]) -> Service | None:
    """The service times that the description of a load means; `None`: it has none.

    Raises:
        UsageError: A key is unknown or missing, or a value is not possible.
    """
    if load.get("service") is None:
        return None
    service: Service = _made("load.service", load["service"], SERVICES)
    return service


def steady_rate(load: Mapping[str, Any]) -> float | None:
    """The rate of a load that is always the same, requests a second; `None`: it is not.

    Raises:
        UsageError: A key is unknown or missing, or a value is not possible.
    """
    shape, _ = _checked(load)
    if shape is None or shape.get("kind") != "steady":
        return None
    rate: float = _made("load.shape", shape, SHAPES).per_s
    return rate


def _checked(load: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Shape and file: one of them is there."""
    for key in load:
        if key not in KEYS:
            raise UsageError(f"load.{key}: there is no such key{hint(key, KEYS)}")
    shape, file = load.get("shape"), load.get("file")
    if (shape is None) == (file is None):
        raise UsageError("load: give either load.shape or load.file")
    for key, part in (("shape", shape), ("file", file), ("service", load.get("service"))):
        if part is not None and not isinstance(part, Mapping):
            raise UsageError(f"load.{key}={part!r}: give its keys, load.{key}.KEY=VALUE")
    return shape, file


def hint(key: str, known: Iterable[str]) -> str:
    """What was probably meant, or what there is, for the end of a message."""
    names = list(known)
    close = get_close_matches(key, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(names)}"


def _rate(shape: Mapping[str, Any], duration_s: float, seed: int) -> Rate:
    if shape.get("kind") != "on_off":
        made: Rate = _made("load.shape", shape, SHAPES, "on_off")
        return made
    for key in shape:
        if key not in (*ON_OFF, "kind"):
            raise UsageError(f"load.shape.{key}: there is no such key{hint(key, ON_OFF)}")
    low, high, off_s, on_s = (_number(f"load.shape.{key}", shape.get(key)) for key in ON_OFF)
    return on_off(low, high, off_s, on_s, duration_s, Random(f"on/off {seed}"))


def _made(where: str, given: Mapping[str, Any], kinds: Mapping[str, type[Any]], *others: str) -> Any:
    kind = str(given.get("kind"))
    if kind not in kinds:
        raise UsageError(f"{where}.kind={kind!r}: give one of {', '.join((*kinds, *others))}")
    numbers = {key: _number(f"{where}.{key}", value) for key, value in given.items() if key != "kind"}
    return _filled(where, kinds[kind], numbers)


def _filled(where: str, kind: type[Any], given: Mapping[str, Any]) -> Any:
    known = {field.name: field for field in fields(kind)}
    for key in given:
        if key not in known:
            raise UsageError(f"{where}.{key}: there is no such key{hint(key, known)}")
    missing = [name for name, field in known.items() if field.default is MISSING and given.get(name) is None]
    if missing:
        raise UsageError(f"{where}.{missing[0]} is missing")
    return kind(**given)


def _number(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{where}={value!r}: give a number")
    return float(value)
