"""Types of machines as configurations give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import isfinite
from typing import Any

from raybeam.actors import UsageError
from raybeam.autoscaler.kernel.plan import MachineType
from raybeam.autoscaler.workload import hint


def machine_types(given: Mapping[str, Any]) -> list[MachineType]:
    """Types of machines by their names, as configurations give them.

    Raises:
        UsageError: There are none, a key is unknown, or a value is not possible.
    """
    known = [each.name for each in fields(MachineType) if each.name != "name"]
    types: list[MachineType] = []
    for name, options in given.items():
        where = f"machines.{name}"
        if not isinstance(options, Mapping):
            raise UsageError(f"{where}={options!r}: give its keys, {where}.resources.CPU=4 for example")
        for key, value in options.items():
            if key not in known:
                raise UsageError(f"{where}.{key}: there is no such key{hint(str(key), known)}")
            if key in ("resources", "labels") and not isinstance(value, Mapping):
                raise UsageError(f"{where}.{key}={value!r}: give a mapping, {where}.{key}.NAME=VALUE")
        for key, value in {**options, **options.get("resources", {})}.items():
            if key not in ("resources", "labels"):
                checked_number(f"{where}.{key}", value)
        if "resources" not in options:
            raise UsageError(f"{where}.resources is missing: what does such a machine have?")
        try:
            types.append(MachineType(str(name), **options))
        except ValueError as error:
            raise UsageError(f"machines.{error}") from None
    if not any(kind.max_machines for kind in types):
        raise UsageError("machines: there are none; choose some (machines=cloud), or give their names and resources")
    return types


def checked_number(where: str, value: object) -> None:
    """Raise `UsageError` unless it is a finite number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{where}={value!r}: give a number")
    if not (isfinite(value) and value >= 0):
        raise UsageError(f"{where}={value!r}: give a finite number, 0 or more")
