"""Addresses: who a message goes to."""

from typing import NamedTuple, TypeAlias


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


Destination: TypeAlias = Pid | str | RemoteName
"""A pid, a name registered in the runtime of the sender, or one in another runtime."""
