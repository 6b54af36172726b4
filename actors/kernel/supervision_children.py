"""The children of a supervisor: in the order of their start, found by id and by handle.

A change gives a new table and leaves the old one as it was. It costs the same with three children and with a hundred
thousand: a table is a tree of small tuples, told apart by bits of the hash, and a change copies one path of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .supervision_protocol import Handle
    from .supervision_state import Child

V = TypeVar("V")

_Bucket: TypeAlias = "tuple[tuple[object, V], ...]"
_Twig: TypeAlias = "tuple[_Bucket[V], ...]"
_Branch: TypeAlias = "tuple[_Twig[V], ...]"

_WIDTH = 32
_MASK = _WIDTH - 1


class _Tree(Generic[V]):
    """A mapping that is never changed in place. Empty tuples stand for what is empty."""

    __slots__ = ("_branches",)

    def __init__(self, branches: tuple[_Branch[V], ...] = ()) -> None:
        self._branches = branches

    def get(self, key: object) -> V | None:
        bits = hash(key)
        branches = self._branches
        if not branches or not (branch := branches[bits & _MASK]) or not (twig := branch[bits >> 5 & _MASK]):
            return None
        for other, value in twig[bits >> 10 & _MASK]:
            if other == key:
                return value
        return None

    def put(self, key: object, value: V | None) -> _Tree[V]:
        """With another value under a key; without the key when it is `None`."""
        bits = hash(key)
        one, two, three = bits & _MASK, bits >> 5 & _MASK, bits >> 10 & _MASK
        branches = list(self._branches or ((),) * _WIDTH)
        branch = list(branches[one] or ((),) * _WIDTH)
        twig = list(branch[two] or ((),) * _WIDTH)
        bucket = twig[three]
        if bucket:
            bucket = tuple(entry for entry in bucket if entry[0] != key)
        twig[three] = bucket if value is None else (*bucket, (key, value))
        branch[two] = tuple(twig)
        branches[one] = tuple(branch)
        return _Tree(tuple(branches))

    def values(self) -> Iterator[V]:
        """In no order."""
        for branch in self._branches:
            for twig in branch:
                for bucket in twig:
                    for _, value in bucket:
                        yield value


class Children:
    """A table of children.

    >>> from .childspec import ChildSpec
    >>> from .supervision_state import Child
    >>> both = Children.of(Child(ChildSpec(id, print), id.upper()) for id in "ab")
    >>> changed = both.put(Child(ChildSpec("a", print), "A2"))
    >>> [child.handle for child in changed], [child.handle for child in both]
    (['A2', 'B'], ['A', 'B'])
    >>> changed.by_handle("A2") is changed.find("a"), changed.by_handle("A"), len(changed.drop("a"))
    (True, None, 1)
    """

    __slots__ = ("_added", "_ids", "_rows", "_size")

    def __init__(
        self,
        rows: _Tree[tuple[int, Child]] | None = None,
        ids: _Tree[tuple[object, ...]] | None = None,
        added: int = 0,
        size: int = 0,
    ) -> None:
        self._rows = _Tree() if rows is None else rows
        self._ids = _Tree() if ids is None else ids
        self._added = added
        self._size = size

    @classmethod
    def of(cls, children: Iterable[Child]) -> Children:
        """A table of these children, in their order."""
        table = cls()
        for child in children:
            table = table.put(child)
        return table

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Child]:
        return (child for _, child in sorted(self._rows.values(), key=_order))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def find(self, id: object) -> Child | None:
        """The child with that id."""
        try:
            row = self._rows.get(id)
        except TypeError:  # not hashable: no child has it
            return None
        return None if row is None else row[1]

    def by_handle(self, handle: Handle) -> Child | None:
        """The child with that handle; the first one when a process is several children at once."""
        rows = [row for row in map(self._rows.get, self._ids.get(handle) or ()) if row is not None]
        return min(rows, key=_order)[1] if rows else None

    def put(self, child: Child) -> Children:
        """With a child in the place of the one that had its id, or behind all others."""
        name = child.spec.id
        row = self._rows.get(name)
        ids = self._ids
        if row is None:
            if child.handle is not None:
                ids = _listed(ids, child.handle, name)
            return Children(self._rows.put(name, (self._added, child)), ids, self._added + 1, self._size + 1)
        order, old = row
        if old.handle != child.handle:
            if old.handle is not None:
                ids = _unlisted(ids, old.handle, name)
            if child.handle is not None:
                ids = _listed(ids, child.handle, name)
        return Children(self._rows.put(name, (order, child)), ids, self._added, self._size)

    def drop(self, id: object) -> Children:
        """Without the child that has that id."""
        row = self._rows.get(id)
        if row is None:
            return self
        handle = row[1].handle
        ids = self._ids if handle is None else _unlisted(self._ids, handle, id)
        return Children(self._rows.put(id, None), ids, self._added, self._size - 1)


def _order(row: tuple[int, Child]) -> int:
    return row[0]


def _listed(ids: _Tree[tuple[object, ...]], handle: Handle, id: object) -> _Tree[tuple[object, ...]]:
    return ids.put(handle, (*(ids.get(handle) or ()), id))


def _unlisted(ids: _Tree[tuple[object, ...]], handle: Handle, id: object) -> _Tree[tuple[object, ...]]:
    return ids.put(handle, tuple(other for other in ids.get(handle) or () if other != id) or None)
