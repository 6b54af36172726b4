"""Inside a replica: references to the families that this one calls (`calls:` in the blueprint)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from raybeam.actors import GenServer, NotAProcessError, UsageError
from raybeam.actors.runtime import current_runtime

from .client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from raybeam.actors import Runtime

    from .blueprint import Blueprint
    from .client import DirectorySource
    from .kernel.views import Table
    from .telemetry import Telemetry

G = TypeVar("G", bound=GenServer)
R = TypeVar("R")

_clients: WeakValueDictionary[int, Client] = WeakValueDictionary()
"""By the runtime's `id`: one, unless replicas share a process. A client keeps its runtime alive, not the reverse."""


def open(  # noqa: A001 (its word)
    runtime: Runtime,
    blueprint: Blueprint,
    callees: Sequence[str],
    source: DirectorySource,
    on_table: Callable[[Table], None],
    telemetry: Telemetry,
) -> Client:
    """Begin to follow the directory, in the event loop of the replica's runtime; `on_table` gets each newer table.

    The client lives as long as its caller keeps it.
    """
    loop = asyncio.get_running_loop()

    def run(coroutine: Coroutine[object, object, R]) -> R:
        """Run a call for a blocking handler, which has a thread of its own."""
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    families = {name: blueprint.families[name] for name in callees}
    known = blueprint.model_copy(update={"families": families})
    seed = runtime.random.getrandbits(64)
    client = _clients[id(runtime)] = Client(known, source, run, seed, on_table, telemetry=telemetry)
    client.open()
    return client


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
    client = _client_here()
    if client is None or not client.blueprint.families:
        raise UsageError("no peers here: name the families to call in `calls:` of this family in the blueprint")
    return client.ref(service, family)


def _client_here() -> Client | None:
    """The client of the runtime that runs the calling code; of the only one, in a thread that belongs to none."""
    try:
        return _clients.get(id(current_runtime()))
    except NotAProcessError:
        return next(iter(_clients.values())) if len(_clients) == 1 else None


def client_of(runtime: Runtime) -> Client:
    """The client that a replica's runtime calls others by."""
    return _clients[id(runtime)]
