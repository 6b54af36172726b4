"""What the controller is told by a blueprint, and which machines a blueprint may name."""

from __future__ import annotations

from typing import Any

import pytest

from raybeam.actors import BlueprintError, GenServer
from raybeam.autoscaler import Bundles, MachineType, QueueDepth, Static
from raybeam.cluster import Blueprint
from raybeam.cluster.control import control_of
from raybeam.cluster.machine_spec import machines_of


def blueprint(machines: dict[str, Any] | None = None, **families: Any) -> Blueprint:
    return Blueprint.parse(
        {
            "name": "shop",
            "families": {name: {"service": GenServer, **family} for name, family in families.items()},
            "machines": machines or {},
        }
    )


def test_without_a_family_that_scales_nothing_is_controlled() -> None:
    assert control_of(blueprint(web={})) is None


def test_families_that_scale_are_told_apart_from_those_that_do_not() -> None:
    scaling = {"min_replicas": 2, "max_replicas": 9, "every_s": 5.0, "policy": "static", "options": {"replicas": 3}}
    control = control_of(blueprint(web={"replicas": 2, "cpus": 0.5, "scaling": scaling}, db={"replicas": 3}))

    assert control is not None
    assert list(control.families) == ["web"]
    web = control.families["web"]
    assert repr(web.policy) == repr(Static(3))
    assert (web.resources, web.every_s, web.dry_run) == ({"CPU": 0.5}, 5.0, False)
    assert (web.bounds.min_replicas, web.bounds.max_replicas) == (2, 9)
    assert control.fixed == [Bundles("db", 3, {"CPU": 0.1})]
    assert control.types == []
    assert control.silent_after_s == 3.0
    assert not control.asks_for_machines


def test_the_default_policy_is_told_what_the_blueprint_knows_of_machines() -> None:
    machines = {
        "large": {"resources": {"CPU": 16}, "price": 9.0, "boot_s": 90.0},
        "small": {"resources": {"CPU": 4}, "boot_s": 30.0, "max_machines": 3},
    }
    control = control_of(
        blueprint(machines, web={"cpus": 0.5, "scaling": {}}, mail={"scaling": {"options": {"boot_s": 7.0}}})
    )

    assert control is not None
    assert control.asks_for_machines
    assert repr(control.families["web"].policy) == repr(QueueDepth(boot_s=30.0, places=8, dispatch="two_choices"))
    assert repr(control.families["mail"].policy) == repr(QueueDepth(boot_s=7.0, places=40, dispatch="two_choices"))


def test_a_dry_run_of_all_families_asks_for_no_machines() -> None:
    control = control_of(blueprint({"small": {"resources": {"CPU": 4}}}, web={"scaling": {"dry_run": True}}))

    assert control is not None
    assert control.families["web"].dry_run
    assert not control.asks_for_machines


def test_machines_are_read_as_types() -> None:
    small = {"resources": {"CPU": 4}, "price": 0.2, "labels": {"disk": "ssd"}, "min_machines": 1, "max_machines": 5}

    assert machines_of(blueprint({"ray.worker.small": small}, web={})) == [
        MachineType("ray.worker.small", {"CPU": 4.0}, 0.2, 45.0, {"disk": "ssd"}, 1, 5)
    ]


@pytest.mark.parametrize(
    ("machines", "family", "told"),
    [
        ({"small": {"resources": {}}}, {}, "machines.small: a machine without resources carries nothing"),
        ({"small": {"resources": {"CPU": -1}}}, {}, "machines.small.resources.CPU: Input should be greater than"),
        ({"small": {"resources": {"CPU": float("nan")}}}, {}, "machines.small.resources.CPU: Input should be a finite"),
        ({"small": {"resources": {"CPU": 4}, "max_machines": 1, "min_machines": 2}}, {}, "max_machines=1 is below"),
        (
            {"small": {"resources": {"CPU": 4}, "max": 2}},
            {},
            "machines.small.max: no such field; there are: resources, price",
        ),
        ({"small": {}}, {}, "machines.small.resources: Field required"),
        (
            {"small": {"resources": {"CPU": 4}, "max_machines": 0}},
            {"scaling": {}},
            "families.web scales, and none of the machines (small) carries a replica",
        ),
        (
            {"small": {"resources": {"CPU": 4}}},
            {"cpus": 8, "scaling": {}},
            "families.web scales, and none of the machines (small) carries a replica with cpus=8.0",
        ),
        (
            {"small": {"resources": {"CPU": 4}}},
            {"scaling": {"machine_labels": {"disk": "ssd"}}},
            "carries a replica with cpus=0.1 and labels {'disk': 'ssd'}",
        ),
    ],
)
def test_impossible_machines_are_refused(machines: dict[str, Any], family: dict[str, Any], told: str) -> None:
    with pytest.raises(BlueprintError) as raised:
        blueprint(machines, web=family)

    assert told in str(raised.value)
