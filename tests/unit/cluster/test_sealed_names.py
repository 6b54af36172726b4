"""Names on their way: those that cannot be read stay sealed, and are what they were where they can be read again."""

from dataclasses import dataclass

from raybeam.actors import Pid
from raybeam.cluster.kernel.name_protocol import Claim, Decide, Decision, Release, Rule, Said, State, Told, Want
from raybeam.cluster.sealed_names import Sealed, seal, unseal

SERVER, PID = Pid("one", 1), Pid("one", 2)


@dataclass(frozen=True)
class Key:
    number: int


CLAIM = Claim(Key(1), PID, 1, Rule.OWN)


def test_messages_come_out_as_they_went_in() -> None:
    for message in (
        State(SERVER, 1, (CLAIM,), (Want(CLAIM),)),
        Said(SERVER, 1, 1, Want(CLAIM)),
        Said(SERVER, 1, 2, Release(1)),
        Said(SERVER, 1, 3, Decision(1, CLAIM, None)),
        Told(1, 0, ((Key(1), PID), ("plain", None)), (Decide(1, CLAIM),)),
    ):
        assert unseal(seal(message)) == message


def test_a_name_that_cannot_be_read_stays_sealed_and_is_passed_on_as_it_is() -> None:
    unknown = Sealed(b"cnowhere\nNothing\n.")
    told = Told(1, 0, ((unknown, PID),))

    assert unseal(told) == told
    assert seal(unseal(told)) == told


def test_what_is_read_but_cannot_be_a_key_stays_sealed() -> None:
    unhashable = Sealed(b"].")

    assert unseal(Told(1, 0, ((unhashable, PID),))).entries == ((unhashable, PID),)
