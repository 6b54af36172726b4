"""Which family runs a service, as callers name it: by its class, and by the family's name where that is not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.actors import BlueprintError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybeam.actors import GenServer

    from .blueprint import Family


def family_that_runs(service: type[GenServer], families: Mapping[str, Family], family: str | None = None) -> str:
    """The name of the family that runs a service.

    Args:
        service: The class.
        families: Those that may be called from here, by name.
        family: Its name; needed when several families run the class.

    Raises:
        UsageError: `service` is no class.
        BlueprintError: There is no such family, or several.
    """
    known = ", ".join(f"{name} ({each.service_class().__qualname__})" for name, each in families.items())
    if not isinstance(service, type):
        raise UsageError(f"ref({service!r}): give the class of the service, and the family's name after it")
    if family is not None:
        if family not in families:
            raise BlueprintError(f"there is no family {family!r} to call from here; there are: {known}")
        return family
    wanted = (service.__module__, service.__qualname__)
    found = [
        name
        for name, candidate in families.items()
        if (candidate.service_class().__module__, candidate.service_class().__qualname__) == wanted
    ]
    if not found:
        raise BlueprintError(
            f"no family runs {service.__qualname__} that may be called from here; there are: {known}. "
            "A replica may call the families in `calls:` of its own"
        )
    if len(found) > 1:
        raise BlueprintError(
            f"several families ({', '.join(found)}) run {service.__qualname__}: "
            f"name the family, ref({service.__qualname__}, 'name')"
        )
    return found[0]
