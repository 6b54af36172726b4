"""Capacity on paper: what survives a loss, what it costs, and what gives way first."""

import pytest

from raybeam.actors import OptionError
from raybeam.autoscaler.kernel.capacity import Domain, capacity
from raybeam.autoscaler.kernel.demand import Demand
from raybeam.autoscaler.kernel.ladder import FAR, of_load, of_service
from raybeam.autoscaler.kernel.plan import MachineType

SMALL = MachineType("small", {"CPU": 4.0}, price=1.0)
WEB = Demand(rate=200.0, service_s=0.1, slo_s=0.5)
ZONES = [MachineType(f"in-{zone}", {"CPU": 8.0}, price=2.0, labels={"zone": zone}) for zone in "abc"]


def test_the_objective_still_holds_with_a_machine_lost() -> None:
    found = capacity({"web": WEB}, [SMALL])
    web = found.families["web"]

    assert web.replicas > web.least
    assert web.left == web.replicas - max(len(machine.families) for machine in found.plan.machines) >= web.least
    assert WEB.late(web.left) <= 0.01
    assert found.availability > found.bare_availability


def test_with_nothing_to_spare_there_is_just_enough() -> None:
    found = capacity({"web": WEB}, [SMALL], Domain(0))

    assert found.families["web"].replicas == found.families["web"].least == found.families["web"].left
    assert found.availability == found.bare_availability == pytest.approx(0.999 ** len(found.plan.machines))


def test_two_replicas_on_two_machines_survive_one_of_them() -> None:
    found = capacity({"web": Demand(rate=1e-6, service_s=0.1, slo_s=1.0)}, [SMALL])

    assert (found.families["web"].least, found.families["web"].replicas, found.plan.count()) == (1, 2, {"small": 2})


def test_a_zone_may_be_lost_when_the_others_carry_it_all() -> None:
    found = capacity({"web": WEB}, ZONES, Domain(1, "zone"))
    web = found.families["web"]

    in_zone = {
        zone: sum(len(machine.families) for machine in found.plan.machines if machine.type.labels["zone"] == zone)
        for zone in "abc"
    }
    assert max(in_zone.values()) - min(in_zone.values()) <= 1
    assert web.replicas - max(in_zone.values()) == web.left >= web.least


def test_families_may_have_any_name() -> None:
    for domain, types in ((Domain(), [SMALL]), (Domain(1, "zone"), ZONES)):
        assert capacity({"web@home": WEB}, types, domain).families["web@home"].left > 0


def test_families_share_machines_and_each_survives() -> None:
    found = capacity({"web": WEB, "seats": Demand(rate=30.0, service_s=0.1, slo_s=0.5)}, [SMALL])

    for each in found.families.values():
        assert each.left >= each.least
    assert sum(len(machine.families) for machine in found.plan.machines) == sum(
        each.replicas for each in found.families.values()
    )


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(OptionError, match=r"the maxima of the machine types leave \d+ of them without a machine"):
        capacity({"web": WEB}, [MachineType("one", {"CPU": 4.0}, max_machines=1)])
    with pytest.raises(OptionError, match="no machine type holds a replica of web"):
        capacity({"web": Demand(1.0, 0.1, 1.0, replica=(("GPU", 1.0),))}, [SMALL])
    with pytest.raises(OptionError, match="have 0 values: 1 zone cannot be lost without losing all"):
        capacity({"web": WEB}, [SMALL], Domain(1, "zone"))
    with pytest.raises(OptionError, match="lost=-1"):
        Domain(-1)
    with pytest.raises(OptionError, match="availability=0"):
        Domain(availability=0.0)


def test_the_ladder_goes_up_and_its_rungs_are_where_things_give_way() -> None:
    types = [MachineType("small", {"CPU": 4.0}, max_machines=20)]
    found = capacity({"web": WEB}, types)
    web = found.families["web"]
    rungs = of_load(found, types)
    at = {rung.what: rung.times for rung in rungs}

    assert [rung.times for rung in rungs] == sorted(rung.times for rung in rungs)
    assert rungs[0].what == "the objective of web, 1 machine lost"
    assert rungs[0].times >= 1.0
    assert at["the queue of web grows without end"] == pytest.approx(web.replicas / 20.0)
    objective = at["the objective of web"]
    assert WEB.holds(web.replicas, times=objective)
    assert not WEB.holds(web.replicas, times=1.01 * objective)
    maxima = at["the maxima of the machine types"]
    capacity({"web": Demand(200.0 * maxima, 0.1, 0.5)}, types)
    with pytest.raises(OptionError, match="maxima"):
        capacity({"web": Demand(200.0 * 1.02 * maxima, 0.1, 0.5)}, types)


def test_slower_requests_break_an_objective_before_the_queue() -> None:
    rungs = of_service(capacity({"web": WEB}, [SMALL]))

    assert rungs[0].what.startswith("the objective of web")
    assert rungs[0].times < min(rung.times for rung in rungs if "queue" in rung.what)
    assert rungs[-1].what == "the queue of web grows without end"


def test_nobody_looks_further_than_far() -> None:
    found = capacity({"web": Demand(rate=1e-9, service_s=0.1, slo_s=1.0)}, [SMALL])

    assert of_load(found, [SMALL])[0].times == FAR


def test_ten_thousand_replicas_are_planned() -> None:
    found = capacity({"web": Demand(100_000.0, 0.1, 1.0)}, [MachineType("large", {"CPU": 16.0})], Domain(2))

    assert found.families["web"].left >= found.families["web"].least > 10_000
