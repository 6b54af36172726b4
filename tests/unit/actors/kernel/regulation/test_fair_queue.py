"""The fair queue: tenants take turns."""

from raybeam.actors import Fair
from raybeam.actors.kernel.regulation.fair_queue import FairQueue
from raybeam.actors.kernel.regulation.line import Phase, Waiter


def queue(fair: Fair | None, *names: str) -> FairQueue[str]:
    """Calls named by tenant and number."""
    found: FairQueue[str] = FairQueue(fair)
    for name in names:
        found.append(Waiter(name, 0.0, None, found.line(name[0])))
    return found


def served(found: FairQueue[str]) -> list[str]:
    names = []
    while found.depth:
        line = found.next_line()
        waiter = found.oldest(line)
        waiter.phase = Phase.GONE
        names.append(waiter.item)
        found.charge(line)
    return names


def test_tenants_take_turns() -> None:
    assert served(queue(Fair(), "a1", "a2", "a3", "b1", "b2", "c1")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_tenant_with_more_weight_takes_more_turns_in_a_row() -> None:
    fair = Fair({"a": 2.0})

    assert served(queue(fair, "a1", "a2", "a3", "b1", "b2", "b3")) == ["a1", "a2", "b1", "a3", "b2", "b3"]


def test_without_fairness_all_stand_in_one_line() -> None:
    found = queue(None, "a1", "a2", "b1")

    assert found.tenants == 1
    assert found.longest_line().depth == 3
    assert served(found) == ["a1", "a2", "b1"]


def test_who_leaves_and_comes_back_saves_no_turns_up() -> None:
    found = queue(Fair(), "a1", "b1", "b2")
    assert served(found) == ["a1", "b1", "b2"]
    for name in ("b3", "b4", "a2"):
        found.append(Waiter(name, 0.0, None, found.line(name[0])))

    assert served(found) == ["b3", "a2", "b4"]


def test_nothing_is_remembered_of_a_tenant_without_calls() -> None:
    found = queue(Fair(), *[f"{tenant}1" for tenant in "abcdefgh"])
    served(found)

    assert found.tenants == 0
    assert not found._lines
    assert not found._by_depth


def test_calls_that_leave_in_the_middle_are_not_kept() -> None:
    found = queue(Fair(), "a0")
    line = found.line("a")
    for number in range(1000):
        waiter = Waiter(f"a{number}", 0.0, None, line)
        found.append(waiter)
        found.leave(waiter)

    assert found.depth == 1
    assert len(line._waiters) < 50
