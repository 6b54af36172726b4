"""The directory's table: which replicas a family has, as views with epochs. A higher epoch always wins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .health import Health

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


EPOCHS_OF_A_GENERATION = 1 << 32


@dataclass(frozen=True, slots=True)
class Member:
    """One replica of a family.

    Attributes:
        name: `system/family/index#incarnation`, the name of its Ray actor; never used again.
        index: Its place in the family.
        incarnation: Which attempt at that place it is, counted from 1.
        health: Whether calls may be sent to it.
        machine: Ray's id of the machine that it runs on.
        draining: Whether it is about to end: it serves what it has, and is sent nothing new.
    """

    name: str
    index: int
    incarnation: int
    health: Health = Health.UP
    machine: str = ""
    draining: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """The members of one family at one time.

    Attributes:
        family: Its name.
        epoch: Grows with every change.
        members: The replicas that are up, in the order of their places.
        places: Those where there should be a replica; there need not be one at the moment.
    """

    family: str
    epoch: int = 0
    members: tuple[Member, ...] = ()
    places: tuple[int, ...] = ()

    def serving(self) -> tuple[str, ...]:
        """Names of the members to send calls to: those that are up, else those nobody can say of.

        One that drains is called only when there is no other: better late in its end than no answer.

        >>> View("f", 1, (Member("f/0#1", 0, 1), Member("f/1#1", 1, 1, draining=True))).serving()
        ('f/0#1',)
        >>> View("f", 1, (Member("f/1#1", 1, 1, draining=True),)).serving()
        ('f/1#1',)
        """
        for draining in (False, True):
            for health in (Health.UP, Health.UNKNOWN):
                found = tuple(
                    member.name for member in self.members if member.health is health and member.draining is draining
                )
                if found:
                    return found
        return ()


@dataclass(frozen=True, slots=True)
class Table:
    """All views, and a version that grows with every change of any of them.

    Version and epochs of a table made by a later process of the root are above all earlier ones.
    """

    version: int = 0
    views: dict[str, View] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """Number of the root's process that made it."""
        return self.version // EPOCHS_OF_A_GENERATION

    def view(self, family: str) -> View:
        """The view of a family; empty before its first member."""
        return self.views.get(family, View(family))


def first_table(
    generation: int, members: Mapping[str, Sequence[Member]], places: Mapping[str, Sequence[int]] | None = None
) -> Table:
    """What a root that has just started says: the replicas it found, none of which may be taken for gone.

    Args:
        generation: Number of the root's process, above those of all former ones.
        members: The replicas that live, by family.
        places: Where there should be replicas, by family. Default: nowhere.

    >>> before = member_up(first_table(1, {}), "stock", Member("shop/stock/0#1", 0, 1))
    >>> after = first_table(2, {"stock": [Member("shop/stock/0#1", 0, 1)]})
    >>> newer(before.view("stock"), after.view("stock")) is after.view("stock")
    True
    >>> before.generation, after.generation
    (1, 2)
    """
    base = generation * EPOCHS_OF_A_GENERATION
    views = {
        family: View(
            family, base, tuple(sorted(found, key=lambda member: member.index)), tuple((places or {}).get(family, ()))
        )
        for family, found in members.items()
    }
    return Table(base, views)


def member_up(table: Table, family: str, member: Member) -> Table:
    """A replica serves: it takes the place of any other incarnation at its index."""
    view = table.view(family)
    others = tuple(other for other in view.members if other.index != member.index)
    return _install(table, view, (*others, member))


def member_down(table: Table, family: str, name: str) -> Table:
    """A replica is gone; nothing changes when a later incarnation has its place already."""
    view = table.view(family)
    left = tuple(member for member in view.members if member.name != name)
    return table if len(left) == len(view.members) else _install(table, view, left)


def member_health(table: Table, family: str, name: str, health: Health) -> Table:
    """The health of a replica changed."""
    view = table.view(family)
    members = tuple(replace(member, health=health) if member.name == name else member for member in view.members)
    return table if members == view.members else _install(table, view, members)


def member_draining(table: Table, family: str, index: int, draining: bool) -> Table:
    """The replica at a place drains, or does so no more; nothing changes when there is none."""
    view = table.view(family)
    members = tuple(replace(member, draining=draining) if member.index == index else member for member in view.members)
    return table if members == view.members else _install(table, view, members)


def places_changed(table: Table, family: str, places: tuple[int, ...]) -> Table:
    """There should be replicas at these places."""
    view = table.view(family)
    return table if places == view.places else _install(table, replace(view, places=places), view.members)


def newer(mine: View | None, theirs: View) -> View:
    """Which of two views holds: the one with the higher epoch."""
    return theirs if mine is None or theirs.epoch > mine.epoch else mine


def _install(table: Table, view: View, members: tuple[Member, ...]) -> Table:
    members = tuple(sorted(members, key=lambda member: member.index))
    installed = replace(view, epoch=view.epoch + 1, members=members)
    return Table(table.version + 1, {**table.views, view.family: installed})
