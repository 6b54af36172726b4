"""Names of Ray actors and placement groups, all in one namespace."""

from __future__ import annotations

import re
from typing import NamedTuple

NAMESPACE = "raybeam"
SERVICE = "service"
"""Name of the process in each replica that calls to its family go to."""


class ReplicaName(NamedTuple):
    """The parts of `system/family/index#incarnation`.

    >>> str(ReplicaName("shop", "stock", 0, 2)), ReplicaName.parse("shop/stock/0#2").incarnation
    ('shop/stock/0#2', 2)
    """

    system: str
    family: str
    place: int
    incarnation: int

    def __str__(self) -> str:
        return f"{self.system}/{self.family}/{self.place}#{self.incarnation}"

    @classmethod
    def parse(cls, name: str) -> ReplicaName:
        """Take a name apart.

        Raises:
            ValueError: It is not the name of a replica.
        """
        match = re.fullmatch(r"([^/]+)/([^/]+)/(\d+)#(\d+)", name)
        if match is None:
            raise ValueError(f"{name!r} is not system/family/index#incarnation")
        return cls(match[1], match[2], int(match[3]), int(match[4]))


class RootName(NamedTuple):
    """The parts of `system/root#generation`: one process of a root, as the runtimes of replicas know it.

    >>> str(RootName("shop", 3)), RootName.parse("shop/root#3"), RootName.parse("shop/stock/0#2")
    ('shop/root#3', RootName(system='shop', generation=3), None)
    """

    system: str
    generation: int

    def __str__(self) -> str:
        return f"{self.system}/root#{self.generation}"

    @classmethod
    def parse(cls, name: str) -> RootName | None:
        """Take a name apart; `None`: it is not that of a root."""
        match = re.fullmatch(r"([^/]+)/root#(\d+)", name)
        return None if match is None else cls(match[1], int(match[2]))


def root_name(system: str) -> str:
    """Name of the root's actor."""
    return f"{system}/root"


def group_name(system: str, family: str, index: int | None = None) -> str:
    """Name of a family's placement group, or of that of one replica.

    >>> group_name("shop", "stock"), group_name("shop", "stock", 3)
    ('shop/stock', 'shop/stock/3')
    """
    return f"{system}/{family}" if index is None else f"{system}/{family}/{index}"
