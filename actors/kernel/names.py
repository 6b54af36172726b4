"""The table of a registry: which processes have registered a key, with which values; unique or duplicate keys.

Unlike the other kernels it changes in place: to register one among a hundred thousand must not copy them. It is
deterministic all the same, and does nothing but remember. An owner is opaque here: the shell's are pids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

OwnerT = TypeVar("OwnerT")


class Table(Generic[OwnerT]):
    """Keys, their owners, and the values they gave.

    Args:
        unique: Whether a key has one owner and one value at most.
    """

    __slots__ = ("_keys", "_owners", "_size", "unique")

    def __init__(self, *, unique: bool) -> None:
        self.unique = unique
        self._owners: dict[Hashable, dict[OwnerT, list[object]]] = {}
        self._keys: dict[OwnerT, dict[Hashable, None]] = {}
        self._size = 0

    def __len__(self) -> int:
        """How many entries there are."""
        return self._size

    def __contains__(self, owner: OwnerT) -> bool:
        """Whether this owner has an entry."""
        return owner in self._keys

    def add(self, key: Hashable, owner: OwnerT, value: object) -> OwnerT | None:
        """Add an entry.

        Returns:
            `None`, or who has the unique key already: then nothing was added.

        >>> table = Table[str](unique=True)
        >>> table.add("lamp", "ann", 1), table.add("lamp", "bob", 2), table.lookup("lamp")
        (None, 'ann', [('ann', 1)])
        """
        owners = self._owners.setdefault(key, {})
        if self.unique:
            for holder in owners:
                return holder
        owners.setdefault(owner, []).append(value)
        self._keys.setdefault(owner, {})[key] = None
        self._size += 1
        return None

    def remove(self, key: Hashable, owner: OwnerT, match: Callable[[object], bool] | None = None) -> list[object]:
        """Remove the entries of an owner under a key, or those of them whose value matches; the removed values."""
        removed: list[object] = []
        kept: list[object] = []
        for value in self._owners.get(key, {}).get(owner, []):
            (removed if match is None or match(value) else kept).append(value)
        if not removed:
            return []
        self._size -= len(removed)
        if kept:
            self._owners[key][owner] = kept
            return removed
        del self._owners[key][owner]
        if not self._owners[key]:
            del self._owners[key]
        del self._keys[owner][key]
        if not self._keys[owner]:
            del self._keys[owner]
        return removed

    def remove_owner(self, owner: OwnerT) -> list[Hashable]:
        """Remove all entries of an owner; the keys of them, one for each entry."""
        keys = self.keys(owner)
        for key in dict.fromkeys(keys):
            self.remove(key, owner)
        return keys

    def replace(self, key: Hashable, owner: OwnerT, value: object) -> None:
        """Put a value in the place of all that the owner has under the key."""
        self._size += 1 - len(self._owners[key][owner])
        self._owners[key][owner] = [value]

    def holder(self, key: Hashable) -> OwnerT | None:
        """Who registered the key first, of those who still have it."""
        return next(iter(self._owners.get(key, {})), None)

    def lookup(self, key: Hashable) -> list[tuple[OwnerT, object]]:
        """All entries under a key."""
        return [(owner, value) for owner, values in self._owners.get(key, {}).items() for value in values]

    def values(self, key: Hashable, owner: OwnerT) -> list[object]:
        """What an owner has under a key, oldest first."""
        return list(self._owners.get(key, {}).get(owner, []))

    def keys(self, owner: OwnerT) -> list[Hashable]:
        """The keys of an owner, one for each entry."""
        return [key for key in self._keys.get(owner, {}) for _ in self._owners[key][owner]]

    def entries(self) -> Iterator[tuple[Hashable, OwnerT, object]]:
        """All entries."""
        for key, owners in self._owners.items():
            for owner, values in owners.items():
                for value in values:
                    yield key, owner, value
