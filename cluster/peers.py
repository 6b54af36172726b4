"""Inside a replica: references to the families that this one calls (`calls:` in the blueprint)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

from raybeam.actors import GenServer, UsageError

from .client import Client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .blueprint import Blueprint
    from .client import DirectorySource

G = TypeVar("G", bound=GenServer)

_client: Client | None = None  # a replica is an OS process of its own


def open(blueprint: Blueprint, callees: Sequence[str], source: DirectorySource) -> None:  # noqa: A001 (its word)
    """Begin to follow the directory, in the replica's event loop."""
    global _client  # noqa: PLW0603 (see above)
    families = {name: blueprint.families[name] for name in callees}
    _client = Client(blueprint.model_copy(update={"families": families}), source, _refuse)
    _client.open()


def ref(service: type[G], family: str | None = None) -> G:
    """A typed reference to a family that this one may call.

    Args:
        service: The class that the family runs.
        family: Its name; needed when several families run the class.

    Raises:
        UsageError: The family of this replica calls nobody, or the code does not run in a replica.
        BlueprintError: `calls:` does not name such a family.
    """
    if _client is None:
        raise UsageError("no peers here: name the families to call in `calls:` of this family in the blueprint")
    return _client.ref(service, family)


def _refuse(coroutine: object) -> NoReturn:
    raise UsageError("inside a replica calls are awaited: `await ref.method(...)`, not `ref.method.sync(...)`")
