"""Routers are made from views: who is there, who drains, and which places there should be."""

from random import Random

from raybeam.cluster.kernel.routing import router
from raybeam.cluster.kernel.views import Member, View


class Nothing:
    """Everybody has the same load, none by default."""

    def __init__(self, depth: int = 0) -> None:
        self.random = Random(1)
        self.shunned: dict[str, float] = {}
        self._depth = depth

    def depth(self, name: str) -> int:
        return self._depth

    def now(self) -> float:
        return 0.0


def view(*draining: int, places: tuple[int, ...]) -> View:
    members = tuple(Member(f"f/{place}#1", place, 1, draining=place in draining) for place in range(4))
    return View("f", 1, members, places)


def chosen(of: View, pattern: str = "ring", bound: float | None = 1.25, depth: int = 0) -> dict[int, object]:
    made, load = router(pattern, of, bound), Nothing(depth)
    return {key: made.choose(key, load) for key in range(200)}


def test_a_ring_has_the_places_of_the_view_with_gaps_and_all() -> None:
    four, three = chosen(view(places=(0, 1, 2, 3))), chosen(view(1, places=(0, 2, 3)))

    assert set(four.values()) == {f"f/{place}#1" for place in range(4)}
    assert set(three.values()) == {"f/0#1", "f/2#1", "f/3#1"}
    assert all(three[key] == name for key, name in four.items() if name != "f/1#1")


def test_a_bounded_ring_whose_replicas_are_equally_busy_waits_for_none_that_is_missing() -> None:
    assert set(chosen(view(places=(0, 1, 2, 3, 4)), bound=1.05, depth=5).values()) == {
        f"f/{place}#1" for place in range(4)
    }


def test_a_replica_that_drains_is_sent_no_call() -> None:
    assert set(chosen(view(0, 2, places=(1, 3)), "replicated").values()) == {"f/1#1", "f/3#1"}
