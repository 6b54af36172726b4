"""How many machines of each type a cluster must and may have."""

from raybeam.autoscaler.kernel.plan import MachineType
from raybeam.cluster.kernel.node_types import FamilyBounds, NodeTypes, node_types

SMALL = MachineType("small", {"CPU": 4.0}, price=1.0, max_machines=10)
LARGE = MachineType("large", {"CPU": 16.0}, price=3.0, max_machines=10)
CPU = {"CPU": 1.0}


def told(found: NodeTypes) -> dict[str, tuple[int, int]]:
    return {each.machine.name: (each.min_workers, each.max_workers) for each in found.types}


def test_there_are_machines_for_the_fewest_and_for_the_most_replicas() -> None:
    assert told(node_types([FamilyBounds("web", 3, 17, CPU)], [SMALL])) == {"small": (1, 5)}


def test_families_share_machines() -> None:
    families = [FamilyBounds("web", 2, 2, CPU), FamilyBounds("db", 2, 2, CPU)]

    assert told(node_types(families, [SMALL])) == {"small": (1, 1)}


def test_many_replicas_are_cheaper_on_large_machines() -> None:
    assert told(node_types([FamilyBounds("web", 1, 32, CPU)], [SMALL, LARGE])) == {"small": (1, 1), "large": (0, 2)}


def test_labels_choose_the_machines() -> None:
    zoned = MachineType("zoned", {"CPU": 4.0}, price=9.0, labels={"zone": "a"})

    assert told(node_types([FamilyBounds("web", 1, 8, CPU, {"zone": "a"})], [SMALL, zoned])) == {"zoned": (1, 2)}


def test_replicas_that_are_kept_apart_have_a_machine_each() -> None:
    assert told(node_types([FamilyBounds("web", 3, 5, CPU, apart=True)], [SMALL])) == {"small": (3, 5)}


def test_what_a_plan_wants_may_be_had_too() -> None:
    assert told(node_types([FamilyBounds("web", 1, 1, CPU)], [SMALL, LARGE], {"small": 4})) == {"small": (1, 4)}
    assert told(node_types([], [SMALL], {"small": 2})) == {"small": (0, 2)}


def test_replicas_without_a_machine_are_told() -> None:
    assert node_types([FamilyBounds("web", 1, 50, CPU)], [SMALL]).homeless == {"web": 10}
    assert node_types([FamilyBounds("web", 1, 1, {"GPU": 1.0})], [SMALL]).homeless == {"web": 1}
    assert node_types([FamilyBounds("web", 12, 12, CPU, apart=True)], [SMALL]).homeless == {"web": 2}


def test_machines_that_must_always_be_there_are() -> None:
    always = MachineType("always", {"CPU": 4.0}, min_machines=2, max_machines=4)

    assert told(node_types([FamilyBounds("web", 1, 12, CPU)], [always])) == {"always": (2, 3)}
