"""The authority over names: who is granted what, who is waited for, and how conflicts end."""

from random import Random

from raybeam.actors import Pid
from raybeam.cluster.kernel.global_names import Authority, Collected, RuntimeLost, ServerLost, Tell
from raybeam.cluster.kernel.name_protocol import (
    Claim,
    Decide,
    Decision,
    Dropped,
    Fate,
    Granted,
    Refused,
    Release,
    Released,
    Rule,
    Said,
    State,
    Told,
    Verdict,
    Want,
)

ONE, TWO, THREE = Pid("one", 1), Pid("two", 1), Pid("three", 1)


def claim(server: Pid, number: int = 1, rule: Rule = Rule.NOTIFY_ALL, name: str = "n") -> Claim:
    return Claim(name, Pid(server.runtime, 100 + number), number, rule)


class Root:
    """An authority and what it has told."""

    def __init__(self, *expected: str) -> None:
        self.authority = Authority(expected)
        self.told: dict[str, list[Told]] = {}

    def take(self, event: State | Said | ServerLost | RuntimeLost | Collected) -> None:
        for effect in self.authority.step(event, Random(1)):
            if isinstance(effect, Tell):
                self.told.setdefault(effect.server.runtime, []).append(effect.told)

    def hold(self, server: Pid, *held: Claim, session: int = 1) -> None:
        self.take(State(server, session, held))

    def say(self, server: Pid, number: int, saying: Want | Release | Decision, session: int = 1) -> None:
        self.take(Said(server, session, number, saying))

    def verdicts(self, server: Pid) -> list[Verdict]:
        return [verdict for told in self.told.get(server.runtime, []) for verdict in told.verdicts]


def test_the_first_who_asks_gets_the_name_and_everybody_is_told() -> None:
    root = Root()
    root.hold(ONE)
    root.hold(TWO)
    root.say(ONE, 1, Want(claim(ONE)))
    root.say(TWO, 1, Want(claim(TWO)))

    assert root.verdicts(ONE) == [Granted(1)]
    assert root.verdicts(TWO) == [Refused(1, claim(ONE).pid)]
    assert root.told["two"][1] == Told(1, 1, (("n", claim(ONE).pid),))

    root.say(ONE, 2, Release(1))
    assert root.verdicts(ONE) == [Granted(1), Released(1)]
    assert root.authority.table() == {}


def test_words_that_overtake_each_other_are_put_in_order_and_doubles_are_dropped() -> None:
    root = Root()
    root.say(ONE, 2, Release(1))
    root.say(ONE, 1, Want(claim(ONE)))
    root.hold(ONE)
    root.say(ONE, 1, Want(claim(ONE)))
    root.hold(ONE, claim(ONE))

    assert root.authority.table() == {}
    assert root.verdicts(ONE) == [Granted(1), Released(1)]


def test_while_it_collects_it_answers_nobody_and_who_had_a_name_goes_first() -> None:
    root = Root("one", "two")
    root.hold(TWO)
    root.say(TWO, 1, Want(claim(TWO)))
    assert root.told == {}

    root.hold(ONE, claim(ONE))
    assert root.verdicts(TWO) == [Refused(1, claim(ONE).pid)]
    assert root.verdicts(ONE) == []
    assert [told.entries for told in root.told["one"]] == [(("n", claim(ONE).pid),)]


def test_it_waits_no_longer_for_who_is_lost_and_not_for_ever() -> None:
    for end in (RuntimeLost("one"), Collected()):
        root = Root("one", "two")
        root.hold(TWO)
        root.say(TWO, 1, Want(claim(TWO)))
        root.take(end)

        assert root.verdicts(TWO) == [Granted(1)]


def test_a_lost_name_server_takes_its_names_along_unless_another_speaks_already() -> None:
    root = Root()
    root.hold(ONE, claim(ONE))
    root.hold(Pid("one", 2), claim(ONE), session=2)
    root.take(ServerLost(ONE))
    assert root.authority.table() == {"n": claim(ONE).pid}

    root.take(ServerLost(Pid("one", 2)))
    assert root.authority.table() == {}


def test_a_claim_that_was_dropped_is_no_conflict_when_it_is_stated_again() -> None:
    root = Root()
    root.hold(ONE, claim(ONE, rule=Rule.RANDOM_EXIT))
    root.hold(TWO)
    root.say(TWO, 1, Want(claim(TWO), replace=True))
    root.hold(ONE, claim(ONE, rule=Rule.RANDOM_EXIT), session=2)

    assert root.verdicts(ONE) == [Dropped(1, Fate.UNREGISTERED, claim(TWO).pid)] * 2
    assert root.authority.table() == {"n": claim(TWO).pid}


def test_what_was_granted_and_lost_unheard_is_told_in_that_order_and_not_granted_anew() -> None:
    root = Root()
    wants = tuple(Want(claim(ONE, number), replace=True) for number in (1, 2))
    root.hold(ONE)
    root.say(ONE, 1, wants[0])
    root.say(ONE, 2, wants[1])
    root.told.clear()
    root.take(State(ONE, 2, wanted=wants))

    assert root.verdicts(ONE) == [Granted(1), Dropped(1, Fate.UNREGISTERED, claim(ONE, 2).pid), Granted(2)]
    assert root.authority.table() == {"n": claim(ONE, 2).pid}


def test_a_name_that_was_taken_over_is_not_taken_back_by_who_has_not_heard_that_it_had_it() -> None:
    root = Root()
    want = Want(claim(ONE), replace=True)
    root.hold(ONE)
    root.hold(TWO)
    root.say(ONE, 1, want)
    root.say(TWO, 1, Want(claim(TWO), replace=True))
    root.take(State(ONE, 2, wanted=(want,)))

    assert root.verdicts(TWO) == [Granted(1)]
    assert root.authority.table() == {"n": claim(TWO).pid}


def test_in_one_runtime_the_later_claim_took_the_place_of_the_earlier() -> None:
    root = Root()
    root.hold(ONE, claim(ONE, 2), claim(ONE, 1))

    assert root.verdicts(ONE) == [Dropped(1, Fate.UNREGISTERED, claim(ONE, 2).pid)]


def test_when_one_contender_wins_the_others_decide_anew() -> None:
    root = Root()
    first, second, third = claim(ONE), claim(TWO, rule=Rule.OWN), claim(THREE, rule=Rule.OWN)
    root.hold(ONE, first)
    root.hold(TWO, second)
    root.hold(THREE, third)
    root.say(TWO, 1, Decision(1, first, second.pid))
    root.say(THREE, 1, Decision(1, first, third.pid))  # about one who has the name no more

    assert root.authority.table() == {"n": second.pid}
    assert root.verdicts(THREE) == [Decide(1, first), Decide(1, second)]

    root.say(THREE, 2, Decision(1, second, Rule.NOTIFY_ALL))
    assert root.authority.table() == {}
    assert root.verdicts(TWO)[-1] == Dropped(1, Fate.NOTIFIED, third.pid)


def test_when_the_holder_ends_the_first_contender_has_the_name() -> None:
    root = Root()
    first, second, third = claim(ONE), claim(TWO, rule=Rule.OWN), claim(THREE, rule=Rule.OWN)
    for server, held in ((ONE, first), (TWO, second), (THREE, third)):
        root.hold(server, held)
    root.say(ONE, 1, Release(1))

    assert root.authority.table() == {"n": second.pid}
    assert root.verdicts(THREE) == [Decide(1, first), Decide(1, second)]


def test_who_takes_a_name_takes_it_from_contenders_too() -> None:
    root = Root()
    root.hold(ONE, claim(ONE))
    root.hold(TWO, claim(TWO, rule=Rule.OWN))
    root.say(ONE, 1, Want(claim(ONE, 2), replace=True))
    root.say(ONE, 2, Release(2))

    assert root.verdicts(TWO)[-1] == Dropped(1, Fate.UNREGISTERED, claim(ONE, 2).pid)
    assert root.authority.table() == {}
