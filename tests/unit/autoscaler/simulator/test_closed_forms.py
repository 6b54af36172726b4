"""The simulator against what queueing theory knows exactly."""

from dataclasses import dataclass
from math import exp

import pytest

from raybeam.autoscaler.kernel.policy import Decision
from raybeam.autoscaler.kernel.snapshot import Snapshot
from raybeam.autoscaler.simulator import Family, Run, World, simulate
from raybeam.autoscaler.workload import Constant, Exponential, LogNormal, Service, Steady, Trace, draw

REQUESTS = 120_000


@dataclass(frozen=True)
class Fixed:
    replicas: int

    def start(self) -> None:
        return None

    def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
        return Decision(self.replicas), None


def played(service: Service, replicas: int, slots: int, utilisation: float, seed: int = 1) -> tuple[Run, Trace]:
    """A run at a utilisation, with a fixed number of replicas."""
    rate = utilisation * replicas * slots / service.mean_s
    trace = draw("steady", Steady(rate), service, REQUESTS / rate, seed)
    family = Family("one", trace, Fixed(replicas), slots=slots, initial=replicas)
    return simulate(World(interval_s=20.0 * service.mean_s), family)["one"], trace


def erlang_c(servers: int, offered: float) -> float:
    blocking = 1.0
    for number in range(1, servers + 1):
        blocking = offered * blocking / (number + offered * blocking)
    return blocking / (1 - (offered / servers) * (1 - blocking))


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_one_server_with_memoryless_times_waits_as_m_m_1_says(utilisation: float) -> None:
    run, _ = played(Exponential(0.1), 1, 1, utilisation)

    assert run.mean_wait_s == pytest.approx(utilisation * 0.1 / (1 - utilisation), rel=0.06)


def test_waits_of_m_m_1_are_exponential_with_an_atom_at_zero() -> None:
    run, _ = played(Exponential(0.1), 1, 1, 0.7)

    for bound in (0.05, 0.2, 0.5):
        assert run.late(bound) / 100 == pytest.approx(0.7 * exp(-(1 - 0.7) * bound / 0.1), rel=0.08)


@pytest.mark.parametrize(("replicas", "slots"), [(5, 1), (1, 5), (10, 2), (4, 10)])
def test_many_servers_wait_as_erlang_c_says_however_they_are_bundled(replicas: int, slots: int) -> None:
    servers, utilisation = replicas * slots, 0.8
    run, _ = played(Exponential(0.1), replicas, slots, utilisation)

    expected = erlang_c(servers, utilisation * servers) * 0.1 / (servers * (1 - utilisation))
    assert run.mean_wait_s == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("utilisation", [0.5, 0.8])
def test_constant_times_wait_half_as_long_as_memoryless_ones(utilisation: float) -> None:
    run, _ = played(Constant(0.1), 1, 1, utilisation)

    assert run.mean_wait_s == pytest.approx(utilisation * 0.1 / (2 * (1 - utilisation)), rel=0.05)


@pytest.mark.parametrize("cv", [0.5, 2.0])
def test_any_times_wait_as_pollaczek_and_khinchine_say(cv: float) -> None:
    run, _ = played(LogNormal(0.1, cv), 1, 1, 0.6)

    assert run.mean_wait_s == pytest.approx(0.6 * 0.1 * (1 + cv * cv) / (2 * (1 - 0.6)), rel=0.1)


@pytest.mark.parametrize(
    ("service", "replicas", "slots", "utilisation"),
    [(Exponential(0.1), 1, 1, 0.8), (LogNormal(0.2, 2.0), 6, 1, 0.9), (Constant(0.05), 3, 4, 0.7)],
)
def test_what_is_in_the_system_is_the_rate_times_the_time_there(
    service: Service, replicas: int, slots: int, utilisation: float
) -> None:
    run, trace = played(service, replicas, slots, utilisation)

    queue, busy = run.timeline.column("queue"), run.timeline.column("in_flight")
    time_there = run.mean_wait_s + sum(trace.sizes) / len(trace.sizes)
    assert (sum(queue) + sum(busy)) / len(queue) == pytest.approx(trace.rate_per_s * time_there, rel=0.04)
