"""What a family is to carry: the objective, its replicas, and waits that the simulator confirms."""

from math import exp, inf

import pytest

from raybeam.actors import OptionError
from raybeam.autoscaler.kernel.demand import Demand
from raybeam.autoscaler.simulator import Family, Static, World, simulate
from raybeam.autoscaler.workload import Constant, Exponential, LogNormal, Service, Steady, draw, times_of

REQUESTS = 100_000


def demand(service: Service, rate: float, slo_s: float, **others: object) -> Demand:
    times = times_of(service)
    return Demand(rate, times.mean_s, slo_s, cv=times.cv, sizes=times.sizes, **others)  # type: ignore[arg-type]


def played(asked: Demand, service: Service, replicas: int) -> tuple[list[float], list[float]]:
    """The waits in order with so many replicas; and the seconds from coming to being answered."""
    waits: list[float] = []
    answers: list[float] = []
    for seed in range(1, 5):
        trace = draw("paper", Steady(asked.rate), service, REQUESTS / asked.rate, seed)
        family = Family("one", trace, Static(replicas), slots=asked.slots, initial=replicas)
        run = simulate(World(interval_s=20.0), family)["one"]
        waits += run.waits
        answers += [wait + size for wait, size in zip(run.waits, trace.sizes, strict=False)]
    return sorted(waits), answers


def late(answers: list[float], bound_s: float) -> float:
    return sum(answer > bound_s for answer in answers) / len(answers)


@pytest.mark.parametrize(("replicas", "slots", "rate"), [(1, 1, 7.0), (5, 1, 40.0), (4, 5, 170.0)])
def test_waits_on_paper_are_those_of_the_simulator(replicas: int, slots: int, rate: float) -> None:
    asked = demand(Exponential(0.1), rate, 1.0, of="wait", slots=slots)

    waits, _ = played(asked, Exponential(0.1), replicas)
    assert asked.mean_wait_s(replicas) == pytest.approx(sum(waits) / len(waits), rel=0.05)
    assert asked.wait_s(0.5, replicas) == pytest.approx(waits[len(waits) // 2], rel=0.05, abs=0.001)
    assert asked.wait_s(0.99, replicas) == pytest.approx(waits[int(0.99 * len(waits))], rel=0.06)


def test_answers_on_paper_are_those_of_the_simulator() -> None:
    asked = demand(Exponential(0.1), 40.0, 0.35, share=0.9)

    _, answers = played(asked, Exponential(0.1), 5)
    assert asked.late(5) == pytest.approx(late(answers, 0.35), rel=0.05)


@pytest.mark.parametrize("service", [Constant(0.1), LogNormal(0.1, 0.5)], ids=str)
def test_answers_of_steadier_services_do_not_come_later_than_on_paper(service: Service) -> None:
    asked = demand(service, 40.0, 0.25, share=0.9)

    _, answers = played(asked, service, 5)
    assert 0.95 * late(answers, 0.25) <= asked.late(5) <= 2.0 * late(answers, 0.25)


def test_the_late_answers_of_one_memoryless_server_are_known_exactly() -> None:
    asked = demand(Exponential(0.1), 5.0, 0.6, share=0.9)

    assert asked.late(1) == pytest.approx(exp(-(10.0 - 5.0) * 0.6), rel=0.01)


def test_the_least_replicas_hold_the_objective_and_one_fewer_do_not() -> None:
    for slots in (1, 4):
        asked = Demand(rate=200.0, service_s=0.1, slo_s=0.5, slots=slots)
        assert asked.holds(asked.least())
        assert not asked.holds(asked.least() - 1)


def test_without_requests_nobody_is_needed_and_nobody_waits() -> None:
    nothing = Demand(rate=0.0, service_s=0.1, slo_s=1.0)

    assert (nothing.least(), nothing.late(0), nothing.wait_s(0.99, 0)) == (0, 0.0, 0.0)


def test_too_few_replicas_let_the_queue_grow_without_end() -> None:
    asked = Demand(rate=100.0, service_s=0.1, slo_s=1.0)

    assert asked.wait_s(0.5, 10) == asked.mean_wait_s(10) == inf
    assert asked.late(10) == 1.0


@pytest.mark.parametrize("bad", [float("nan"), -1.0, float("inf")])
@pytest.mark.parametrize("name", ["rate", "service_s", "slo_s", "cv"])
def test_numbers_that_cannot_be_are_refused(name: str, bad: float) -> None:
    with pytest.raises(OptionError, match=f"{name}=.*give a finite number"):
        Demand(**{"rate": 1.0, "service_s": 0.1, "slo_s": 1.0, name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"slo_s": 0.1}, "no number of replicas answers sooner"),
        ({"slo_s": 0.2}, "of the requests take 0.2 s or longer by themselves, and only 1 % may"),
        ({"service_s": 0.0}, "service_s=0"),
        ({"slots": 0}, "at least one request at once"),
        ({"share": 1.0}, "a share between 0 and 1"),
        ({"of": "luck"}, "of='luck': give 'answer' or 'wait'"),
        ({"cv": 1e9}, "no formula tells the waits"),
        ({"rate": 1e12}, "keep more than 100,000 replicas busy: plans are made up to there"),
    ],
)
def test_what_no_replicas_can_hold_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(OptionError, match=told):
        Demand(**{"rate": 1.0, "service_s": 0.1, "slo_s": 1.0, **wrong})  # type: ignore[arg-type]
