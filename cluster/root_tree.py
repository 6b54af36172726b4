"""The supervision tree of a root: names, a supervisor for each family with a keeper per replica, the controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.actors import Backoff, ChildSpec, Supervisor, SupervisorSpec
from raybeam.autoscaler.controller import Controller

from .name_authority import start_authority

if TYPE_CHECKING:
    from .blueprint import Family
    from .root import Root

NAMES = ("system", "names")  # no family can be called so
SCALING = ("system", "scaling")
MANY = 1_000_000
"""Restarts that a tree bears where the system can go on without its child."""


class FamilyTree(Supervisor):
    """The supervisor of a family."""

    async def init(self, root: Root, name: str, family: Family) -> SupervisorSpec:
        """One keeper for each replica."""
        places = root.scaling.opened(name, self.pid, root.records.adoptable_places())
        children = [root.scaling.child(name, index) for index in places]
        return SupervisorSpec(children, intensity=family.max_restarts, period_s=family.period_s)


class ScalingTree(Supervisor):
    """The supervisor of the controller, which never gives up: a system that does not scale is still one that serves."""

    async def init(self, root: Root) -> SupervisorSpec:
        """The controller."""
        arguments = (root.fleet, root.control, root.scaling_history, root.records.occurred)
        controller = ChildSpec("controller", (Controller, *arguments), backoff=Backoff(1.0, max_delay_s=60.0))
        return SupervisorSpec([controller], intensity=MANY)


class RootTree(Supervisor):
    """The supervisor at the top."""

    async def init(self, root: Root) -> SupervisorSpec:
        """The names first: services may want some as soon as they start. The controller last: it ends first."""
        names = ChildSpec(NAMES, (start_authority, root.replica_names))
        families = [
            ChildSpec(name, (FamilyTree, root, name, family), type="supervisor")
            for name, family in root.blueprint.families.items()
        ]
        scaling = [ChildSpec(SCALING, (ScalingTree, root), type="supervisor")] if root.control else []
        blueprint = root.blueprint
        return SupervisorSpec(
            [names, *families, *scaling], intensity=blueprint.max_restarts, period_s=blueprint.period_s
        )
