"""Policies as configurations write them, in plain data: with bounds, plans, and policies within policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from raybeam.actors import OptionError
from raybeam.autoscaler import Bounds
from raybeam.autoscaler.workload import hint

from .policies import made_policy

if TYPE_CHECKING:
    from raybeam.autoscaler import Policy


def configured_policy(section: Mapping[str, Any], where: str = "policy") -> Policy[Any]:
    """The policy of a section of a configuration.

    Args:
        section: `path`, a name or an import path, and `options`. Of these `bounds` is a mapping of the fields of
            `Bounds`; a mapping with a `path` is a policy again; lists become tuples.
        where: Where the section is, for errors.

    Raises:
        OptionError: There is no such policy, or it does not take the options; in one line.

    >>> second = {"path": "static", "options": {"replicas": 2}}
    >>> configured_policy({"path": "raybeam.autoscaler:Most", "options": {"first": second, "second": second}})
    Most(first=Static(replicas=2, machines=None), second=Static(replicas=2, machines=None))
    """
    path, options = section["path"], section.get("options", {})
    if path == "???":
        raise OptionError(f"{where}.path is missing: name the class of your policy, {where}.path=package.module:Class")
    for key in section:
        if key not in ("path", "options", "tunable"):
            raise OptionError(f"{where}.{key}: there is no such key{hint(str(key), ('path', 'options'))}")
    made = configured_options(options, f"{where}.options")
    return made_policy(str(path), made, (f"{where}.path", f"{where}.options"))


def configured_options(options: Mapping[str, Any], where: str = "options") -> dict[str, Any]:
    """The options of a policy with what their plain data stands for.

    Raises:
        OptionError: As `configured_policy`.

    >>> configured_options({"bounds": {"max_replicas": 3}, "wait_s": 0.5})["bounds"].max_replicas
    3
    """
    return {name: _made(name, value, where) for name, value in options.items()}


def _made(name: str, value: Any, where: str) -> Any:
    if isinstance(value, Mapping) and "path" in value:
        return configured_policy(value, f"{where}.{name}")
    if isinstance(value, Mapping) and name == "bounds":
        known = [field.name for field in fields(Bounds)]
        for key in value:
            if key not in known:
                raise OptionError(f"{where}.bounds.{key}: there is no such key{hint(str(key), known)}")
        try:
            return Bounds(**value)
        except ValueError as error:
            raise OptionError(f"{where}.bounds: {error}") from None
    if isinstance(value, list):
        return tuple(_made(name, each, where) for each in value)
    return value
