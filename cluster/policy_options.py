"""Options of policies as configurations write them, in plain data: bounds, plans, and policies within policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from raybeam.autoscaler import Bounds
from raybeam.autoscaler.workload import hint

if TYPE_CHECKING:
    from collections.abc import Callable


def made_options(options: Mapping[str, Any], make: Callable[[Mapping[str, Any]], object]) -> dict[str, Any]:
    """Options as the class of a policy takes them.

    Args:
        options: In plain data. `bounds` is a mapping of the fields of `Bounds`; a mapping with a `path` is a policy,
            with its own `options`; lists become tuples.
        make: Makes a policy of such a mapping.

    Raises:
        ValueError: Bounds cannot be like that.

    >>> made_options({"bounds": {"max_replicas": 3}, "plan": [[0.0, 2]]}, make=print)
    {'bounds': Bounds(min_replicas=0, max_replicas=3, budget=None, replica_price=1.0), 'plan': ((0.0, 2),)}
    """
    return {name: _made(name, value, make) for name, value in options.items()}


def _made(name: str, value: Any, make: Callable[[Mapping[str, Any]], object]) -> Any:
    if isinstance(value, Mapping) and "path" in value:
        for key in value:
            if key not in ("path", "options"):
                raise ValueError(f"{name}.{key}: there is no such key{hint(str(key), ('path', 'options'))}")
        return make({"options": {}, **value})
    if isinstance(value, Mapping) and name == "bounds":
        known = [field.name for field in fields(Bounds)]
        for key in value:
            if key not in known:
                raise ValueError(f"bounds.{key}: there is no such key{hint(str(key), known)}")
        return Bounds(**value)
    if isinstance(value, list):
        return tuple(_made(name, each, make) for each in value)
    return value
