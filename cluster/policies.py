"""The scaling policies that a blueprint or a configuration names, made and checked in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from raybeam.actors import OptionError
from raybeam.autoscaler import QueueDepth, Scheduled, Static, TargetUtilisation

from .import_path import import_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybeam.autoscaler import Policy

POLICIES: Final[Mapping[str, type[Any]]] = {
    "queue_depth": QueueDepth,
    "target_utilisation": TargetUtilisation,
    "static": Static,
    "scheduled": Scheduled,
}


def policy_class(name: str, field: str = "policy") -> type[Any]:
    """The class that a name of `POLICIES` or an import path stands for.

    Args:
        name: What was given.
        field: Where, for errors.

    Raises:
        OptionError: It cannot be imported, or is no policy.
    """
    if name in POLICIES:
        return POLICIES[name]
    if ":" not in name:
        raise OptionError(f"{field}={name!r}: give one of {', '.join(POLICIES)}, or 'package.module:Class'")
    try:
        kind = import_object(name)
    except ValueError as error:
        raise OptionError(f"{field}: {error}") from None
    if not (isinstance(kind, type) and all(callable(getattr(kind, method, None)) for method in ("start", "decide"))):
        raise OptionError(f"{field}={name!r} is no policy: name a class with the methods start and decide")
    return kind


def made_policy(name: str, options: Mapping[str, Any], fields: tuple[str, str] = ("policy", "options")) -> Policy[Any]:
    """A policy, made with its options.

    Args:
        name: One of `POLICIES`, or an import path.
        options: What its class is called with.
        fields: Where both were given, for errors.

    Raises:
        OptionError: There is no such policy, or it does not take the options; in one line.

    >>> made_policy("static", {"replicas": 3})
    Static(replicas=3, machines=None)
    >>> made_policy("static", {"replicas": -3})
    Traceback (most recent call last):
        ...
    raybeam.actors.errors.OptionError: options={'replicas': -3}: replicas=-3: give 0 or more
    """
    kind = policy_class(name, fields[0])
    try:
        made: Policy[Any] = kind(**options)
    except (TypeError, ValueError) as error:
        raise OptionError(f"{fields[1]}={dict(options)!r}: {error}") from None
    return made
