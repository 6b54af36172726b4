"""The lane protocol: ordered, batched, bounded messages to one runtime and the answers back.

Messages of a lane are numbered from 1, and so are the answers. A batch carries new messages and says which
answers have arrived; its reply carries answers, says which messages have arrived, and up to which number more
may be sent (the *limit*: back pressure). When the fate of a batch is unknown, everything not yet accepted is sent
again (go back N) and the answers not yet confirmed are asked for again; what arrives twice is dropped by number.

At most `WINDOW` batches are under way. While one is, new messages collect; the receiver holds the newest batch
until it has answers for it and lets older ones return at once, so a slow call never holds back another's answer.

Both sides are steps over frozen state and deal in numbers only; the messages themselves stay with the shells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

WINDOW: Final = 3
MAX_BATCH: Final = 512
FIRST_LIMIT: Final = 2000


@dataclass(frozen=True, slots=True)
class Send:
    """Effect: send the messages `first .. first + count - 1` as one batch.

    Attributes:
        ack: All answers up to this number have arrived.
        resync: Whether the receiver must send again the answers above `ack`.
        begun: Whether the sender has heard from the receiver on this lane. A receiver that does not know the lane
            has forgotten it then, and must not take the batch in: numbers that go on from where they stood would
            leave a gap for ever.
    """

    first: int
    count: int
    ack: int
    resync: bool
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Effect: feed `Resumed()` after this many seconds."""

    delay_s: float


SenderEffect: TypeAlias = Send | Pause


@dataclass(frozen=True, slots=True)
class Sender:
    """State of the sending side.

    Attributes:
        last: Number of the newest message offered.
        sent: Number of the last message sent since the last loss.
        accepted: The receiver has all messages up to this number.
        limit: The receiver takes messages up to this number.
        answered: All answers up to this number have arrived.
        under_way: Batches under way.
        resync: Whether a batch was lost and its answers with it.
        losses: Losses since the last reply, for the growing pause.
        paused: Whether the lane waits before it sends again.
        heard: Whether the receiver has ever replied.
    """

    last: int = 0
    sent: int = 0
    accepted: int = 0
    limit: int = FIRST_LIMIT
    answered: int = 0
    under_way: int = 0
    resync: bool = False
    losses: int = 0
    paused: bool = False
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Offered:
    """Event: messages up to number `last` wait to be sent."""

    last: int


@dataclass(frozen=True, slots=True)
class Replied:
    """Event: a batch came back.

    Attributes:
        accepted: The receiver has all messages up to this number.
        limit: It takes messages up to this number.
        first_answer: Number of the first answer in the reply.
        answers: How many there are.
    """

    accepted: int
    limit: int
    first_answer: int
    answers: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Event: a batch's fate is unknown."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Event: the pause is over."""


SenderEvent: TypeAlias = Offered | Replied | Lost | Resumed


def first_new_answer(state: Sender, event: Replied) -> int | None:
    """How many of the reply's answers to skip because they came before; `None`: a gap, take none."""
    if event.first_answer > state.answered + 1:
        return None
    return min(event.answers, state.answered + 1 - event.first_answer)


def send_step(state: Sender, event: SenderEvent, waiting: int) -> tuple[Sender, tuple[SenderEffect, ...]]:
    """One step of the sending side.

    Args:
        state: Where it stands.
        event: What happened.
        waiting: How many calls still wait for an answer: while there are some, a batch is kept under way.
    """
    match event:
        case Offered(last):
            state = replace(state, last=last)
        case Replied():
            state = _replied(state, event)
        case Lost():
            pause = () if state.paused else (Pause(min(1.0, 0.02 * 2.0 ** min(state.losses, 10))),)
            state = replace(
                state,
                under_way=state.under_way - 1,
                sent=state.accepted,
                resync=True,
                losses=state.losses + 1,
                paused=True,
            )
            return state, pause
        case Resumed():
            state = replace(state, paused=False)
    return _send(state, waiting)


def _replied(state: Sender, event: Replied) -> Sender:
    accepted = max(state.accepted, event.accepted)
    skip = first_new_answer(state, event)
    gap = skip is None
    answered = state.answered if skip is None else max(state.answered, event.first_answer + event.answers - 1)
    under_way = state.under_way - 1
    sent = max(state.sent, accepted)
    if not under_way and sent > accepted:
        sent = accepted  # a batch overtook another and was refused: send again
    return replace(
        state,
        accepted=accepted,
        answered=answered,
        limit=max(state.limit, event.limit),
        under_way=under_way,
        sent=sent,
        resync=state.resync or gap,
        losses=0,
        paused=False,
        heard=True,
    )


def _send(state: Sender, waiting: int) -> tuple[Sender, tuple[SenderEffect, ...]]:
    if state.paused:
        return state, ()
    count = min(state.last, state.limit) - state.sent
    count = max(0, min(count, MAX_BATCH))
    idle = state.under_way == 0
    wanted = count > 0 or state.resync or (idle and (waiting > 0 or state.last > state.accepted))
    if not wanted or state.under_way >= WINDOW:
        return state, ()
    batch = Send(state.sent + 1, count, state.answered, state.resync, state.heard)
    state = replace(state, sent=state.sent + count, under_way=state.under_way + 1, resync=False)
    return state, (batch,)


@dataclass(frozen=True, slots=True)
class Receiver:
    """State of the receiving side.

    Attributes:
        accepted: All messages up to this number have arrived.
        returned: Answers up to this number were put into some reply.
        confirmed: Answers up to this number have arrived at the sender.
        promised: The sender was told that it may send up to this number.
    """

    accepted: int = 0
    returned: int = 0
    confirmed: int = 0
    promised: int = FIRST_LIMIT


def accept(state: Receiver, batch: Send) -> tuple[Receiver, range]:
    """Take a batch in: the new state, and which of its messages (positions in it) are new.

    A batch that leaves a gap is refused whole; it will be sent again.
    """
    confirmed = max(state.confirmed, batch.ack)
    returned = confirmed if batch.resync else max(state.returned, confirmed)
    state = replace(state, confirmed=confirmed, returned=returned)
    if batch.first > state.accepted + 1:
        return state, range(0)
    skip = state.accepted + 1 - batch.first
    if skip >= batch.count:
        return state, range(0)
    return replace(state, accepted=batch.first + batch.count - 1), range(skip, batch.count)


def reply_with(state: Receiver, answers: int, room: int) -> tuple[Receiver, Replied]:
    """Make the reply to a batch: with all answers that no reply has carried yet.

    Args:
        state: Where it stands.
        answers: How many answers were made so far.
        room: How many more messages can be taken in now.
    """
    promised = max(state.promised, state.accepted + max(0, room))
    reply = Replied(state.accepted, promised, state.returned + 1, answers - state.returned)
    return replace(state, returned=answers, promised=promised), reply
