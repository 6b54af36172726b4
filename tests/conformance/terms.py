"""Erlang terms as the scenario files write them, and as Python has them.

| scenario | Python |
|---|---|
| `"normal"` (an atom) | `"normal"` |
| `["shutdown", "x"]` (a tuple) | `("shutdown", "x")` |
| `{"list": [1, 2]}` | `[1, 2]` |
| `{"bin": "text"}` | `b"text"` |
| numbers, `true`, `false` | the same |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refused:
    """A term that Erlang refuses where Python would take it, such as a time of 1.5 ms."""

    term: Any


class List(list[Any]):
    """A list that can be a name, as in Erlang."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))


def read(term: Any) -> Any:
    """A term of a scenario, in Python.

    >>> read(["shutdown", {"list": ["a", 1]}])
    ('shutdown', ['a', 1])
    """
    match term:
        case list():
            return tuple(read(part) for part in term)
        case {"list": list(parts)} if len(term) == 1:
            return List(read(part) for part in parts)
        case {"bin": str(text)} if len(term) == 1:
            return text.encode()
        case _:
            return term


def write(term: Any) -> Any:
    """A Python term, as a trace writes it.

    >>> write(("shutdown", ["a", 1]))
    ['shutdown', {'list': ['a', 1]}]
    """
    match term:
        case tuple():
            return [write(part) for part in term]
        case list():
            return {"list": [write(part) for part in term]}
        case bytes():
            return {"bin": term.decode()}
        case Refused(refused):
            return refused
        case None:
            return "undefined"
        case _:
            return term
