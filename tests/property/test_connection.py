"""Two sides of a connection that is lost again and again agree in the end on what is linked."""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.cluster.kernel.connection import Connection, Stamp, Verdict, arrived, lost, stamp


@dataclass
class Side:
    """One runtime: the links that it believes in, and what is on its way to it."""

    connection: Connection = field(default_factory=Connection)
    links: set[int] = field(default_factory=set)
    inbox: deque[tuple[Stamp, int | None]] = field(default_factory=deque)


def send(sender: Side, receiver: Side, link: int | None) -> None:
    receiver.inbox.append((stamp(sender.connection), link))
    if link is not None:
        sender.links.add(link)


def take(side: Side) -> None:
    carried, link = side.inbox.popleft()
    side.connection, cut, verdict = arrived(side.connection, carried)
    if cut:
        side.links.clear()
    if verdict is Verdict.TAKE and link is not None:
        side.links.add(link)


def lose(side: Side, other: Side, undelivered: int) -> None:
    """A side loses the other: its links, and the newest of what was on its way there; then it greets."""
    for _ in range(min(undelivered, len(other.inbox))):
        other.inbox.pop()
    side.connection = lost(side.connection)
    side.links.clear()
    send(side, other, None)


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["link", "link", "take", "take", "lose"]), st.integers(0, 1), st.integers(0, 3)),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(steps=STEPS)
def test_both_sides_believe_in_the_same_links_when_nothing_moves_any_more(steps: list[Step]) -> None:
    sides = (Side(), Side())
    for number, (what, which, amount) in enumerate(steps):
        side, other = sides[which], sides[1 - which]
        if what == "link":
            send(side, other, number)
        elif what == "take" and side.inbox:
            take(side)
        elif what == "lose":
            lose(side, other, amount)
    while sides[0].inbox or sides[1].inbox:
        for side in sides:
            while side.inbox:
                take(side)

    assert sides[0].links == sides[1].links
