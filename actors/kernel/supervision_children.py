"""The children of a supervisor: in the order of their start, found by id and by handle.

A change gives a new table, and the old one stays as it was, seen from outside. Inside, the newest table has taken over
the dictionaries, and the one before remembers what was changed: so a change costs the same with three children and with
a hundred thousand, and only who looks into an old table again pays for a copy (Baker's trick).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .supervision_protocol import Handle
    from .supervision_state import Child

_Row: TypeAlias = "tuple[int, Child]"


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

    __slots__ = ("_added", "_ids", "_newer", "_rows", "_undo")

    def __init__(self) -> None:
        self._rows: dict[object, _Row] = {}  # by id
        self._ids: dict[Handle, tuple[object, ...]] = {}  # by handle
        self._added = 0
        self._newer: Children | None = None
        self._undo: tuple[object, _Row | None] = (None, None)

    @classmethod
    def of(cls, children: Iterable[Child]) -> Children:
        """A table of these children, in their order."""
        table = cls()
        for child in children:
            table = table.put(child)
        return table

    def __len__(self) -> int:
        self._own()
        return len(self._rows)

    def __iter__(self) -> Iterator[Child]:
        self._own()
        return (child for _, child in sorted(self._rows.values(), key=_order))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def find(self, id: object) -> Child | None:
        """The child with that id."""
        self._own()
        try:
            row = self._rows.get(id)
        except TypeError:  # not hashable: no child has it
            return None
        return None if row is None else row[1]

    def by_handle(self, handle: Handle) -> Child | None:
        """The child with that handle; the first one when a process is several children at once."""
        self._own()
        rows = [self._rows[name] for name in self._ids.get(handle, ())]
        return min(rows, key=_order)[1] if rows else None

    def put(self, child: Child) -> Children:
        """With a child in the place of the one that had its id, or behind all others."""
        self._own()
        name = child.spec.id
        row = self._rows.get(name)
        newer = self._handed_over(name, row)
        if row is None:
            newer._rows[name] = (newer._added, child)
            newer._added += 1
            newer._list(child.handle, name)
        else:
            order, old = row
            newer._rows[name] = (order, child)
            if old.handle != child.handle:
                newer._unlist(old.handle, name)
                newer._list(child.handle, name)
        return newer

    def drop(self, id: object) -> Children:
        """Without the child that has that id."""
        self._own()
        row = self._rows.get(id)
        if row is None:
            return self
        newer = self._handed_over(id, row)
        del newer._rows[id]
        newer._unlist(row[1].handle, id)
        return newer

    def _handed_over(self, name: object, row: _Row | None) -> Children:
        """A table that owns the dictionaries from now on, before it changes one row of them."""
        newer = Children()
        newer._rows, newer._ids, newer._added = self._rows, self._ids, self._added
        self._newer, self._undo = newer, (name, row)
        self._rows, self._ids = {}, {}
        return newer

    def _own(self) -> None:
        """Have dictionaries of its own: copies, when a newer table has taken them over."""
        if self._newer is None:
            return
        undone: list[tuple[object, _Row | None]] = []
        table = self
        while table._newer is not None:
            undone.append(table._undo)
            table = table._newer
        self._rows, self._newer = dict(table._rows), None
        for name, row in reversed(undone):
            if row is None:
                del self._rows[name]
            else:
                self._rows[name] = row
        for name, (_, child) in self._rows.items():
            self._list(child.handle, name)

    def _list(self, handle: Handle | None, id: object) -> None:
        if handle is not None:
            self._ids[handle] = (*self._ids.get(handle, ()), id)

    def _unlist(self, handle: Handle | None, id: object) -> None:
        if handle is None:
            return
        others = tuple(other for other in self._ids[handle] if other != id)
        if others:
            self._ids[handle] = others
        else:
            del self._ids[handle]


def _order(row: _Row) -> int:
    return row[0]
