"""What a blueprint says of scaling, which numbers are refused, and which policies there are."""

import re
from typing import ClassVar

import pytest

from raybeam.actors import BlueprintError, GenServer, Gradient, OptionError, Regulation, UsageError, query
from raybeam.autoscaler import Decision, QueueDepth, Snapshot, Static
from raybeam.cluster import Blueprint, Scaling
from raybeam.cluster.policies import made_policy
from raybeam.cluster.scaling import check_scale, drain_timeout_s, kept_apart, slots_of


class Stock(GenServer):
    @query
    async def size(self) -> int:
        return 0


class Narrow(Stock):
    regulation: ClassVar[Regulation | None] = Regulation(concurrency=4)


class Always(Static):
    """A policy of the user's own."""

    def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
        return Decision(7), None


def blueprint(**stock: object) -> Blueprint:
    families = {"stock": {"service": Stock} | stock, "depot": {"service": Stock}}
    return Blueprint.parse({"name": "shop", "families": families})


def scaled(**scaling: object) -> Blueprint:
    return blueprint(scaling=scaling)


def test_defaults_are_filled_in() -> None:
    family = scaled().families["stock"]

    assert family.scaling == Scaling()
    assert (family.scaling.min_replicas, family.scaling.max_replicas, family.scaling.every_s) == (1, 10, 1.0)
    assert family.scaling.made_policy() == QueueDepth()
    assert (slots_of(family), drain_timeout_s(family), kept_apart(family)) == (1, 60.0, 2)


def test_slots_are_those_of_the_regulation_unless_others_are_given() -> None:
    def slots(**stock: object) -> int:
        return slots_of(blueprint(**stock).families["stock"])

    assert slots(service=Narrow) == 4
    assert slots(service=Narrow, regulation=Regulation(concurrency=8)) == 8
    assert slots(regulation=Regulation(concurrency=Gradient())) == 1
    assert slots(service=Narrow, scaling={"slots": 3}) == 3


@pytest.mark.parametrize(
    ("stock", "told"),
    [
        ({"scaling": {"min_replica": 1}}, "stock.scaling.min_replica: no such field; did you mean 'min_replicas'?"),
        ({"scaling": {"min_replicas": 0}}, "families.stock.scaling.min_replicas: Input should be greater than or"),
        (
            {"replicas": 5, "scaling": {"min_replicas": 5, "max_replicas": 4}},
            "families.stock.scaling: max_replicas=4 is below min_replicas=5",
        ),
        (
            {"replicas": 3, "scaling": {"max_replicas": 2}},
            "families.stock: replicas=3 is not between scaling's min_replicas=1 and max_replicas=2",
        ),
        (
            {"pattern": "singleton", "scaling": {}},
            "scaling: a family of pattern 'singleton' does not scale: use 'replicated', or leave `scaling` out",
        ),
        ({"pattern": "broadcast", "scaling": {}}, "a family of pattern 'broadcast' does not scale"),
        ({"pattern": "ring", "scaling": {}}, "a ring does not scale, its keys would lose their state; with bounded"),
        ({"scaling": {"policy": "queue"}}, "scaling: policy='queue': give one of queue_depth, target_utilisation, "),
        ({"scaling": {"policy": "no.such:Policy"}}, "policy: 'no.such:Policy' cannot be imported: ModuleNotFound"),
        (
            {"scaling": {"policy": "collections:Counter"}},
            "policy='collections:Counter' is no policy: name a class with",
        ),
        ({"scaling": {"policy": "static"}}, "options={}: Static.__init__() missing 1 required positional argument"),
        ({"scaling": {"options": {"wait_s": 0}}}, "scaling: options={'wait_s': 0}: wait_s=0: give a number above 0"),
        ({"scaling": {"every_s": 0}}, "scaling.every_s: Input should be greater than 0"),
        ({"scaling": {"slots": 0}}, "scaling.slots: Input should be greater than or equal to 1"),
    ],
)
def test_a_mistake_is_told_in_one_line(stock: dict[str, object], told: str) -> None:
    with pytest.raises(BlueprintError, match=re.escape(told)) as caught:
        blueprint(**stock)

    assert "\n" not in str(caught.value)


def test_a_ring_with_bounded_load_keeps_no_state_by_key_and_may_scale() -> None:
    ring = blueprint(pattern="ring", bounded_load=1.25, scaling={})

    check_scale(ring, "stock", 3)


@pytest.mark.parametrize(
    ("stock", "family", "replicas", "told"),
    [
        ({}, "stok", 2, "there is no family 'stok' to scale; did you mean 'stock'?"),
        ({}, "x", 2, "there is no family 'x' to scale; there are: stock, depot"),
        ({}, "stock", 0, "stock: replicas=0: give a whole number from 1 to 1000"),
        ({}, "stock", 1001, "stock: replicas=1001: give a whole number from 1 to 1000"),
        ({}, "stock", 2.0, "stock: replicas=2.0: give a whole number"),
        ({}, "stock", True, "stock: replicas=True: give a whole number"),
        ({"scaling": {"max_replicas": 3}}, "stock", 4, "give a whole number from 1 to 3, by its `scaling`"),
        ({"pattern": "singleton"}, "stock", 1, "stock: a family of pattern 'singleton' does not scale"),
        ({"pattern": "ring"}, "stock", 2, "stock: a ring does not scale"),
    ],
)
def test_what_cannot_be_is_refused(stock: dict[str, object], family: str, replicas: object, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        check_scale(blueprint(**stock), family, replicas)


def test_a_policy_of_ones_own_is_named_by_its_import_path() -> None:
    assert isinstance(made_policy(f"{__name__}:Always", {"replicas": 1}), Always)
    with pytest.raises(OptionError, match=r"policy\.path='nobody': give one of queue_depth"):
        made_policy("nobody", {}, ("policy.path", "policy.options"))
