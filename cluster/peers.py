"""Inside a replica: references to the families that this one calls (`calls:` in the blueprint)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from raybeam.actors import GenServer, UsageError

from .client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from .blueprint import Blueprint
    from .client import DirectorySource
    from .kernel.views import Table
    from .telemetry import Telemetry

G = TypeVar("G", bound=GenServer)
R = TypeVar("R")

_client: Client | None = None  # a replica is an OS process of its own
_loop: asyncio.AbstractEventLoop | None = None


def open(  # noqa: A001 (its word)
    blueprint: Blueprint,
    callees: Sequence[str],
    source: DirectorySource,
    on_table: Callable[[Table], None],
    telemetry: Telemetry,
) -> None:
    """Begin to follow the directory, in the replica's event loop; `on_table` gets each newer table too."""
    global _client, _loop  # noqa: PLW0603 (see above)
    _loop = asyncio.get_running_loop()
    families = {name: blueprint.families[name] for name in callees}
    known = blueprint.model_copy(update={"families": families})
    _client = Client(known, source, _run, on_table=on_table, telemetry=telemetry)
    _client.open()


def ref(service: type[G], family: str | None = None) -> G:
    """A typed reference to a family that this one may call: `await ref.method(...)`, or `ref.method.sync(...)` in a
    blocking handler.

    Args:
        service: The class that the family runs.
        family: Its name; needed when several families run the class.

    Raises:
        UsageError: The family of this replica calls nobody, or the code does not run in a replica.
        BlueprintError: `calls:` does not name such a family.
    """
    if _client is None or not _client.blueprint.families:
        raise UsageError("no peers here: name the families to call in `calls:` of this family in the blueprint")
    return _client.ref(service, family)


def _run(coroutine: Coroutine[object, object, R]) -> R:
    """Run a call for a blocking handler, which has a thread of its own."""
    assert _loop is not None
    return asyncio.run_coroutine_threadsafe(coroutine, _loop).result()
