"""Process groups span replicas, and agree again after every fault."""

import pytest

from raybeam.actors.distribution import Distribution
from raybeam.cluster.kernel.global_names import Event, RuntimeLost, ServerLost
from raybeam.cluster.mesh import Mesh
from raybeam.cluster.name_authority import NameAuthority
from raybeam.cluster.simulation import simulate
from raybeam.cluster.simulation.groups import GroupScenario

SEEDS = 40


def test_groups_agree_after_the_faults() -> None:
    broken = {seed: simulate(GroupScenario(), seed).broken for seed in range(SEEDS)}

    assert {seed: found for seed, found in broken.items() if found} == {}


async def not_greeted(self: Mesh, peer: str) -> None:
    """A peer that was lost and lives is not told so."""


def not_given_up(self: Distribution, peer: str) -> None:
    """What depended on a lost connection is kept."""


def not_freed(self: NameAuthority, event: Event) -> None:
    """The names of lost replicas stay taken."""
    if not isinstance(event, ServerLost | RuntimeLost):
        RIGHT(self, event)


RIGHT = NameAuthority._step
PLANTED = [
    (NameAuthority, "_step", not_freed),
    (Mesh, "_greet", not_greeted),
    (Distribution, "peer_lost", not_given_up),
]


@pytest.mark.parametrize(("kind", "name", "planted"), PLANTED)
def test_a_planted_bug_is_found(kind: type, name: str, planted: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, name, planted)

    broken = (found.promise for seed in range(SEEDS) for found in simulate(GroupScenario(), seed).broken)

    assert next(broken, None) in ("groups_agree", "seats_agree")
