"""The supervision tree of a root: the name authority, and a supervisor for each family with a keeper per replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.actors import ChildSpec, Supervisor, SupervisorSpec

from .name_authority import start_authority

if TYPE_CHECKING:
    from .blueprint import Family
    from .root import Root

NAMES = ("system", "names")  # no family can be called so


class FamilyTree(Supervisor):
    """The supervisor of a family."""

    async def init(self, root: Root, name: str, family: Family) -> SupervisorSpec:
        """One keeper for each replica."""
        places = root.scaling.opened(name, self.pid, root.records.adoptable_places())
        children = [root.scaling.child(name, index) for index in places]
        return SupervisorSpec(children, intensity=family.max_restarts, period_s=family.period_s)


class RootTree(Supervisor):
    """The supervisor at the top."""

    async def init(self, root: Root) -> SupervisorSpec:
        """The names first: services may want some as soon as they start."""
        names = ChildSpec(NAMES, (start_authority, root.replica_names))
        families = [
            ChildSpec(name, (FamilyTree, root, name, family), type="supervisor")
            for name, family in root.blueprint.families.items()
        ]
        blueprint = root.blueprint
        return SupervisorSpec([names, *families], intensity=blueprint.max_restarts, period_s=blueprint.period_s)
