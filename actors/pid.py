"""Addresses: who a message goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .cell import Cell
    from .runtime import Runtime


class Pid(NamedTuple):
    """The address of one process: never used again after its death.

    Attributes:
        runtime: Name of the runtime that the process lives in.
        serial: Number of the process in that runtime, counted from 1.
    """

    runtime: str
    serial: int

    def __repr__(self) -> str:
        return f"<{self.runtime}.{self.serial}>"


class Ref(NamedTuple):
    """Identifies one monitor or one timer of a runtime."""

    runtime: str
    serial: int


class RemoteName(NamedTuple):
    """A name registered in another runtime: Erlang's `{Name, Node}`."""

    runtime: str
    name: str

    def __repr__(self) -> str:
        return f"<{self.name!r} in {self.runtime}>"


class NameResolver(Protocol):
    """Keeps names of its own: a registry of processes is one (`raybeam.actors.registry`)."""

    def whereis_name(self, runtime: Runtime, key: Hashable) -> Pid | None:
        """Who has the name now, asked from `runtime`; `None`: nobody."""
        ...

    def register_name(self, runtime: Runtime, key: Hashable, cell: Cell) -> None:
        """Give a process of `runtime` the name; its death frees it.

        Raises:
            UsageError: The name is taken, or cannot be given.
        """
        ...


@runtime_checkable
class AwaitedResolver(Protocol):
    """A `NameResolver` that others must be asked for to be given a name: one that spans runtimes."""

    async def claim_name(self, runtime: Runtime, key: Hashable, cell: Cell) -> Pid | None:
        """Give a process of `runtime` the name; its death frees it.

        Returns:
            `None`, or who has the name already.

        Raises:
            RaybeamError: The name was not given, and nobody can say who has it.
        """
        ...


class Via(NamedTuple):
    """A name that a resolver keeps, used as any other: to start a process under it, to call it, to send to it.

    Attributes:
        resolver: Who keeps it.
        key: The name there.
    """

    resolver: NameResolver
    key: Hashable

    def __repr__(self) -> str:
        return f"<{self.key!r} via {self.resolver!r}>"


Name: TypeAlias = str | Via
"""A name in the runtime, or in what a resolver keeps."""

Destination: TypeAlias = Pid | str | Via | RemoteName
"""A pid, a name registered in the runtime of the sender, a name that a resolver keeps, or one in another runtime."""
