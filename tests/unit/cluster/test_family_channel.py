"""Calls to a family: every retry strategy keeps its promise, and the caller learns what became of the call."""

import asyncio
import gc
from collections import Counter as Multiset

import pytest

from raybeam.actors import (
    AtLeastOnce,
    CallTimeout,
    CircuitOpen,
    Disconnected,
    ExactlyOnce,
    GenServer,
    Hedge,
    Interrupted,
    InvalidArgumentsError,
    MessageTooLarge,
    Outcome,
    Overloaded,
    Runtime,
    ServiceError,
    UnsendableAnswer,
    UsageError,
    call,
    calling_as,
    cast,
    current_context,
    gen_server,
    query,
)
from raybeam.actors.testing import run
from raybeam.cluster import envelope
from raybeam.cluster.kernel.breaker import BreakerState
from raybeam.cluster.kernel.ring import Ring
from raybeam.cluster.kernel.views import Member, View, member_down, member_up

from .shop import Replica, Shop


class NotEnough(ServiceError):
    pass


class Stock(GenServer):
    mailbox_limit = 3

    async def init(self, who: str = "") -> None:
        self.who = who
        self.effects: Multiset[str] = Multiset()

    def _did(self, what: str) -> int:
        self.effects[what] += 1
        return self.effects[what]

    @call(retry=ExactlyOnce(), timeout_s=5.0)
    async def once(self, what: str, takes_s: float = 0.0) -> int:
        done = self._did(what)
        await asyncio.sleep(takes_s)
        return done

    @call(retry=ExactlyOnce(window=2), timeout_s=5.0)
    async def narrow(self, what: str) -> int:
        return self._did(what)

    @call(retry=ExactlyOnce(), timeout_s=5.0)
    async def refuse_once(self, what: str) -> int:
        self._did(what)
        raise NotEnough(what)

    @call(timeout_s=5.0)
    async def at_most_once(self, what: str) -> int:
        return self._did(what)

    @call(retry=AtLeastOnce(), timeout_s=5.0)
    async def at_least_once(self, what: str) -> int:
        return self._did(what)

    @call(retry=AtLeastOnce(budget=1.0), timeout_s=60.0)
    async def patient_at_least_once(self, what: str) -> int:
        return self._did(what)

    @call(retry=AtLeastOnce(), timeout_s=5.0)
    async def held_at_least_once(self, what: str, seconds: float) -> int:
        done = self._did(what)
        await asyncio.sleep(seconds)
        return done

    @query(timeout_s=5.0)
    async def count(self, what: str) -> int:
        return self.effects[what]

    @query(timeout_s=5.0, key="sku")
    async def of(self, sku: str) -> str:
        return self.who

    @query(timeout_s=5.0)
    async def name(self) -> str:
        return self.who

    @query(timeout_s=5.0, hedge=Hedge(after_s=0.05))
    async def hedged(self) -> str:
        self._did("hedged")
        if self.who == "slow":
            await asyncio.sleep(2.0)
        return self.who

    @call(timeout_s=1.0)
    async def crash(self) -> None:
        raise RuntimeError("broken")

    @call(timeout_s=1.0)
    async def hold(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @call(timeout_s=1.0)
    async def lock(self) -> object:
        import threading

        return threading.Lock()

    @cast
    async def note(self) -> None:
        self._did("note")

    @query(timeout_s=1.0)
    async def on_behalf_of(self) -> object:
        context = current_context()
        return None if context is None else (context.tenant, context.priority)


class Roomy(Stock):
    mailbox_limit = 1000


class Patient(GenServer):
    async def init(self) -> None:
        self.noted = 0

    @cast
    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @cast
    async def note(self) -> None:
        self.noted += 1

    @query(timeout_s=5.0, concurrent=True)
    async def slow(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @call(retry=ExactlyOnce(), timeout_s=5.0)
    async def once(self) -> int:
        return self.noted


def test_a_call_exactly_once_is_done_once_whatever_is_lost_on_the_way() -> None:
    async def main() -> tuple[list[int], list[int]]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            answers = []
            for number in range(20):
                replica.lose_requests = number % 3
                replica.lose_replies = number % 2
                answers.append(await stock.once(f"order {number}"))
            effects = [await stock.count(f"order {number}") for number in range(20)]
            await shop.client.close(UsageError("over"))
            return answers, effects

    answers, effects = run(main())

    assert answers == [1] * 20
    assert effects == [1] * 20


def test_a_call_exactly_once_survives_the_loss_of_its_lane() -> None:
    """The receiver forgets the lane after it has done the call and before its answer is through."""

    async def main() -> tuple[int, int]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            await stock.once("first")
            asked = asyncio.ensure_future(stock.once("order", 0.5))
            await asyncio.sleep(0.1)
            replica.sessions._sessions.clear()  # as after a long silence
            replica.lose_replies = 1
            answer = await asked
            effects = await stock.count("order")
            await shop.client.close(UsageError("over"))
            return answer, effects

    assert run(main()) == (1, 1)


def test_an_answer_of_the_services_own_error_is_given_once_too() -> None:
    async def main() -> tuple[Outcome, int]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            replica.lose_replies = 2
            result = await stock.refuse_once.result("order")
            effects = await stock.count("order")
            await shop.client.close(UsageError("over"))
            assert isinstance(result.error, NotEnough)
            return result.outcome, effects

    assert run(main()) == (Outcome.FAILED, 1)


def test_a_call_exactly_once_is_never_made_to_a_state_that_does_not_know_it() -> None:
    """Its process has ended with the state: nobody can say whether it was done, and the caller is told so."""

    async def main() -> tuple[Outcome, list[int]]:
        async with Runtime():
            shop = Shop(Stock, replicas=2)
            first = await shop.up(0)
            stock = shop.client.ref(Stock)
            await stock.once("warm")
            asked = asyncio.ensure_future(stock.once.result("order", 1.0))
            await asyncio.sleep(0.1)
            second = await shop.up(1)
            first.alive = False
            await shop.tell(member_down(shop.table, "stock", "shop/stock/0#1"))
            result = await asked
            effects = [replica.server.effects["order"] for replica in (first, second)]
            await shop.client.close(UsageError("over"))
            return result.outcome, effects

    assert run(main()) == (Outcome.UNKNOWN, [1, 0])


def test_a_call_exactly_once_that_waited_for_a_process_that_died_is_made_to_the_next() -> None:
    async def main() -> tuple[int, int]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            await stock.once("warm")
            held = asyncio.ensure_future(stock.hold.result(0.9))
            await asyncio.sleep(0.05)
            asked = asyncio.ensure_future(stock.once("order"))
            await asyncio.sleep(0.05)
            await replica.kill_service()
            await asyncio.create_task(shop.serve(replica))
            answer = await asked
            assert (await held).outcome is Outcome.UNKNOWN
            effects = await stock.count("order")
            await shop.client.close(UsageError("over"))
            return answer, effects

    assert run(main()) == (1, 1)


def test_answers_are_remembered_no_longer_than_their_caller_needs_them() -> None:
    async def main() -> int:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            for number in range(50):
                await stock.once(f"order {number}")
            cell = replica.runtime.cell("service")
            await shop.client.close(UsageError("over"))
            return len(cell.once)  # type: ignore[union-attr]

    assert run(main()) == 1


def test_no_more_calls_exactly_once_are_under_way_than_the_window_takes() -> None:
    async def main() -> tuple[list[int], int]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            most = 0

            async def watch() -> None:
                nonlocal most
                while True:
                    most = max(most, shop.client.numbers("shop/stock/0#1").under_way)
                    await asyncio.sleep(0.0005)

            watching = asyncio.ensure_future(watch())
            answers = await asyncio.gather(*(stock.narrow(f"order {number}") for number in range(9)))
            watching.cancel()
            await shop.client.close(UsageError("over"))
            del replica
            return answers, most

    answers, most = run(main())

    assert answers == [1] * 9
    assert most == 2


def test_a_call_at_most_once_is_not_made_again_when_its_outcome_is_unknown() -> None:
    async def main() -> tuple[Outcome, int]:
        async with Runtime():
            shop = Shop(Stock, replicas=2)
            first = await shop.up(0)
            stock = shop.client.ref(Stock)
            asked = asyncio.ensure_future(stock.hold.result(0.5))
            await asyncio.sleep(0.1)
            second = await shop.up(1)
            first.alive = False
            result = await asked
            assert isinstance(result.error, Disconnected)
            with pytest.raises(Disconnected):
                result.unwrap()
            batches = second.batches
            await shop.client.close(UsageError("over"))
            return result.outcome, batches

    assert run(main()) == (Outcome.UNKNOWN, 0)


def test_a_call_at_least_once_goes_to_another_replica_when_its_outcome_is_unknown() -> None:
    async def main() -> int:
        async with Runtime():
            shop = Shop(Stock, replicas=2)
            first = await shop.up(0)
            stock = shop.client.ref(Stock)
            await stock.at_least_once("warm")
            first.delay_s = 0.2
            asked = asyncio.ensure_future(stock.at_least_once("order"))
            await asyncio.sleep(0.1)
            second = await shop.up(1)
            first.alive = False
            answer = await asked
            assert second.batches > 0
            await shop.client.close(UsageError("over"))
            return answer

    assert run(main()) == 1


def test_every_end_of_a_call_has_its_outcome() -> None:
    async def main() -> dict[str, Outcome]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            outcomes = {
                "ok": (await stock.name.result()).outcome,
                "wrong argument": (await stock.count.result(object())).outcome,  # type: ignore[arg-type]
                "late": (await stock.hold.within(0.1).result(0.5)).outcome,
                "unsendable": (await stock.lock.result()).outcome,
                "own error": (await stock.refuse_once.result("x")).outcome,
            }
            holds = [asyncio.ensure_future(stock.hold.result(0.3)) for _ in range(6)]
            outcomes["overloaded"] = [result.outcome for result in await asyncio.gather(*holds)][-1]
            await asyncio.sleep(1.0)
            outcomes["crash"] = (await stock.crash.result()).outcome
            replica.alive = False
            await stock.name.within(0.1).result()
            outcomes["nobody"] = (await stock.name.within(0.1).result()).outcome
            await shop.client.close(UsageError("over"))
            return outcomes

    assert run(main()) == {
        "ok": Outcome.OK,
        "wrong argument": Outcome.REJECTED,
        "late": Outcome.UNKNOWN,
        "unsendable": Outcome.FAILED,
        "own error": Outcome.FAILED,
        "overloaded": Outcome.REJECTED,
        "crash": Outcome.FAILED,
        "nobody": Outcome.NOT_SENT,
    }


def test_bad_calls_are_told_at_the_caller_and_leave_the_callee_unharmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "MAX_MESSAGE_BYTES", 10_000)

    async def main() -> str:
        async with Runtime():
            shop = Shop(Stock)
            await shop.up(0, 1, "still there")
            stock = shop.client.ref(Stock)
            with pytest.raises(MessageTooLarge, match="send it in parts"):
                await stock.count("x" * 20_000)
            with pytest.raises(InvalidArgumentsError, match="cannot be sent to another process"):
                await stock.count(asyncio.get_running_loop())  # type: ignore[arg-type]
            with pytest.raises(InvalidArgumentsError, match="count: what"):
                await stock.count(3)  # type: ignore[arg-type]
            with pytest.raises(UnsendableAnswer):
                await stock.lock()
            with pytest.raises(UsageError, match="give a deadline in seconds above 0"):
                await stock.count.within(0.0)("x")
            name = await stock.name()
            await shop.client.close(UsageError("over"))
            return name

    assert run(main()) == "still there"


def test_a_key_always_goes_to_the_same_place_and_waits_for_it_while_it_is_down() -> None:
    async def main() -> tuple[list[str], list[str], str]:
        async with Runtime():
            shop = Shop(Stock, replicas=4, pattern="ring")
            for place in range(4):
                await shop.up(place, 1, f"place {place}")
            stock = shop.client.ref(Stock)
            keys = [f"sku {number}" for number in range(40)]
            first = [await stock.of(key) for key in keys]
            expected = [f"place {Ring(range(4)).place(key)}" for key in keys]
            lost = Ring(range(4)).place("sku 0")
            await shop.tell(member_down(shop.table, "stock", f"shop/stock/{lost}#1"))
            asked = asyncio.ensure_future(stock.of("sku 0"))
            await asyncio.sleep(0.5)
            assert not asked.done()
            await shop.up(lost, 2, "came back")
            back = await asked
            await shop.client.close(UsageError("over"))
            return first, expected, back

    first, expected, back = run(main())

    assert first == expected
    assert len(set(first)) == 4
    assert back == "came back"


def test_a_key_that_cannot_be_one_is_refused() -> None:
    async def main() -> None:
        async with Runtime():
            shop = Shop(Stock, replicas=2, pattern="ring")
            await shop.up(0)
            with pytest.raises(InvalidArgumentsError, match="cannot be the key of a call"):
                await shop.client.ref(Stock).of(["a", "list"])  # type: ignore[arg-type]
            with pytest.raises(InvalidArgumentsError, match="the key of the call, is missing"):
                await shop.client.ref(Stock).of()  # type: ignore[call-arg]
            await shop.client.close(UsageError("over"))

    run(main())


def test_a_broadcast_gathers_partial_results() -> None:
    async def main() -> tuple[dict[int, str], dict[int, Outcome]]:
        async with Runtime():
            shop = Shop(Stock, replicas=3)
            for place in range(3):
                await shop.up(place, 1, f"place {place}")
            shop.directory.replicas["shop/stock/1#1"].alive = False
            told = await shop.client.ref(Stock).name.broadcast()
            await shop.client.close(UsageError("over"))
            return dict(told.answers), {place: result.outcome for place, result in told.failures.items()}

    answers, failures = run(main())

    assert answers == {0: "place 0", 2: "place 2"}
    assert failures == {1: Outcome.UNKNOWN}


def test_a_cast_to_a_broadcast_family_reaches_all_and_a_plain_call_is_refused() -> None:
    async def main() -> list[int]:
        async with Runtime():
            shop = Shop(Stock, replicas=3, pattern="broadcast")
            replicas = [await shop.up(place) for place in range(3)]
            stock = shop.client.ref(Stock)
            await stock.note()
            with pytest.raises(UsageError, match="broadcast family"):
                await stock.name()
            with pytest.raises(UsageError, match="is a cast"):
                await stock.note.broadcast()
            await asyncio.sleep(0.1)
            await shop.client.close(UsageError("over"))
            return [replica.server.effects["note"] for replica in replicas]

    assert run(main()) == [1, 1, 1]


def test_a_hedged_query_is_answered_by_the_faster_replica() -> None:
    async def main() -> tuple[list[str], float]:
        async with Runtime():
            shop = Shop(Stock, replicas=2)
            await shop.up(0, 1, "slow")
            await shop.up(1, 1, "fast")
            stock = shop.client.ref(Stock)
            longest, answers = 0.0, []
            for _ in range(5):
                began = asyncio.get_running_loop().time()
                answers.append(await stock.hedged())
                longest = max(longest, asyncio.get_running_loop().time() - began)
            await shop.client.close(UsageError("over"))
            return answers, longest

    answers, longest = run(main())

    assert answers == ["fast"] * 5
    assert longest < 0.1


def test_a_breaker_opens_after_failures_and_closes_again() -> None:
    async def main() -> list[str]:
        async with Runtime():
            shop = Shop(Stock, breaker={"melts": 1, "window_s": 10.0, "reset_s": 2.0})
            clock = asyncio.get_running_loop().time
            shop.client.breakers["stock"]._clock = clock
            await shop.up(0, 1, "there")
            stock = shop.client.ref(Stock)
            for _ in range(2):
                assert (await stock.hold.within(0.05).result(0.2)).outcome is Outcome.UNKNOWN
                await asyncio.sleep(0.3)
            told = []
            with pytest.raises(CircuitOpen) as refused:
                await stock.name()
            told.append(f"{refused.value.retry_after_s:.1f}")
            await asyncio.sleep(refused.value.retry_after_s + 0.01)
            told.append(await stock.name())
            shop.client.breakers["stock"].disable()
            told.append((await stock.name.result()).outcome.value)
            shop.client.breakers["stock"].enable()
            told.append(await stock.name())
            await shop.client.close(UsageError("over"))
            return told

    assert run(main()) == ["1.7", "there", "not sent", "there"]


def test_an_overloaded_replica_is_left_alone_for_as_long_as_it_asks() -> None:
    async def main() -> tuple[list[str], int]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            holds = [asyncio.ensure_future(stock.hold.result(0.02)) for _ in range(6)]
            first = [type((await hold).error).__name__ for hold in holds]
            batches = replica.batches
            again = await stock.hold.result(0.0)
            assert isinstance(again.error, Overloaded)
            assert again.error.retry_after_s > 0
            asked = replica.batches - batches
            await asyncio.sleep(again.error.retry_after_s + 0.001)
            await stock.hold(0.0)
            await shop.client.close(UsageError("over"))
            return first, asked

    first, asked = run(main())

    assert first == ["NoneType"] * 3 + ["Overloaded"] * 3
    assert asked == 0


def test_a_client_with_an_old_view_is_corrected_by_the_replica_that_it_calls() -> None:
    async def main() -> tuple[int, int]:
        async with Runtime():
            shop = Shop(Stock, replicas=2)
            first = await shop.up(0)
            stock = shop.client.ref(Stock)
            await stock.name()
            before = len(shop.client._views["stock"].members)
            told = shop.directory.told
            shop.directory.told = asyncio.Queue()  # the directory is out of reach from now on
            await asyncio.sleep(0)
            del told
            newer = member_down(shop.table, "stock", "nobody")
            from raybeam.cluster.kernel.views import Member, member_up

            newer = member_up(newer, "stock", Member("shop/stock/1#1", 1, 1))
            first.newer_view = newer.view("stock")
            await stock.name()
            after = len(shop.client._views["stock"].members)
            await shop.client.close(UsageError("over"))
            return before, after

    assert run(main()) == (1, 2)


def test_repetitions_are_a_share_of_the_calls() -> None:
    async def main() -> tuple[Multiset[Outcome], int]:
        async with Runtime():
            shop = Shop(Roomy, replicas=1)
            replica = await shop.up(0)
            replica.delay_s = 0.05
            calls = [asyncio.ensure_future(shop.client.ref(Roomy).at_least_once.result("order")) for _ in range(400)]
            await asyncio.sleep(0.02)
            shop.client._lanes["shop/stock/0#1"]._ended_by_itself(dead=False)
            outcomes = Multiset([(await each).outcome for each in calls])
            repeated = 0
            while shop.client.state("stock").repetition_allowed(shop.client.now()):
                repeated += 1
            await shop.client.close(UsageError("over"))
            return outcomes, repeated

    outcomes, left = run(main())

    assert outcomes[Outcome.UNKNOWN] == 400 - (100 + 80)
    assert left == 0


def repeated_after(idle_s: float, under_way_s: float) -> Multiset[Outcome]:
    """How 400 calls end whose lane is lost, the first of a client that has been there for a while."""

    async def main() -> Multiset[Outcome]:
        async with Runtime():
            shop = Shop(Roomy, replicas=1)
            replica = await shop.up(0)
            await asyncio.sleep(idle_s)
            replica.delay_s = under_way_s + 0.1
            ref = shop.client.ref(Roomy).patient_at_least_once
            calls = [asyncio.ensure_future(ref.result("order")) for _ in range(400)]
            await asyncio.sleep(under_way_s)
            replica.delay_s = 0.0
            shop.client._lanes["shop/stock/0#1"]._ended_by_itself(dead=False)
            outcomes = Multiset([(await each).outcome for each in calls])
            await shop.client.close(UsageError("over"))
            return outcomes

    return run(main())


@pytest.mark.parametrize("idle_s", [0.0, 15.0, 25.0])
def test_the_first_repetitions_of_a_client_have_the_share_of_the_calls_before_them(idle_s: float) -> None:
    assert repeated_after(idle_s, under_way_s=0.02) == {Outcome.OK: 400}


@pytest.mark.parametrize("under_way_s", [15.0, 35.0])
def test_a_call_that_lasts_keeps_its_share_of_repetitions(under_way_s: float) -> None:
    assert repeated_after(5.0, under_way_s) == {Outcome.OK: 400}


def test_a_cancelled_caller_cancels_its_call_at_the_callee() -> None:
    async def main() -> int:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            held = asyncio.ensure_future(stock.hold.result(0.2))
            await asyncio.sleep(0.05)
            asked = asyncio.ensure_future(stock.at_most_once("order"))
            await asyncio.sleep(0.05)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            await held
            await asyncio.sleep(0.1)
            effects = replica.server.effects["order"]
            await shop.client.close(UsageError("over"))
            return int(effects)

    assert run(main()) == 0


def test_on_whose_behalf_a_call_is_made_travels_with_it() -> None:
    async def main() -> list[object]:
        async with Runtime():
            shop = Shop(Stock)
            await shop.up(0)
            stock = shop.client.ref(Stock)
            with calling_as(tenant="acme", priority="high"):
                told = [await stock.on_behalf_of()]
            told.append(await stock.on_behalf_of())
            await shop.client.close(UsageError("over"))
            return told

    assert run(main()) == [("acme", "high"), None]


def test_a_call_made_by_a_handler_has_no_more_time_than_its_own_caller_gave() -> None:
    class Desk(GenServer):
        async def init(self, stock: Stock) -> None:
            self.stock = stock

        @call(timeout_s=0.3)
        async def order(self) -> None:
            await self.stock.hold.within(60.0)(2.0)

        @query
        async def alive(self) -> bool:
            return True

    async def main() -> tuple[float, bool]:
        async with Runtime():
            shop = Shop(Stock)
            await shop.up(0)
            desk = gen_server.ref(Desk, await gen_server.start(Desk, shop.client.ref(Stock)))
            began = asyncio.get_running_loop().time()
            with pytest.raises(CallTimeout):
                await desk.order()
            took = asyncio.get_running_loop().time() - began
            alive = await desk.alive()
            await shop.client.close(UsageError("over"))
            return took, alive

    took, alive = run(main())

    assert took == pytest.approx(0.3, abs=0.01)
    assert alive


def test_a_method_with_a_wrong_option_is_refused_where_it_is_defined() -> None:
    with pytest.raises(UsageError, match="has no such argument; it has: sku"):

        @call(key="sk")
        async def take(self: GenServer, sku: str) -> None: ...

    with pytest.raises(UsageError, match="give AtMostOnce"):

        @call(retry="always")  # type: ignore[call-overload, untyped-decorator]
        async def give(self: GenServer, sku: str) -> None: ...


def test_a_call_exactly_once_whose_state_was_lost_before_its_repetition_is_of_unknown_outcome() -> None:
    """Its process was restarted in the same replica: the new one does not know what the old one did."""

    async def main() -> tuple[BaseException | None, Outcome, int]:
        async with Runtime():
            shop = Shop(Stock)
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            await stock.once("warm")
            asked = asyncio.ensure_future(stock.once.result("order", 1.0))
            await asyncio.sleep(0.1)
            replica.lose_replies = 1
            replica.sessions._sessions.clear()
            await replica.kill_service()
            await asyncio.create_task(shop.serve(replica))
            result = await asked
            effects = replica.server.effects["order"]
            await shop.client.close(UsageError("over"))
            return result.error, result.outcome, effects

    error, outcome, effects = run(main())

    assert isinstance(error, Interrupted)
    assert (outcome, effects) == (Outcome.UNKNOWN, 0)


def test_a_replica_that_was_thought_gone_is_never_sent_a_number_twice() -> None:
    async def main() -> list[int]:
        async with Runtime():
            shop = Shop(Stock)
            await shop.up(0)
            stock = shop.client.ref(Stock)
            answers = [await stock.once("order") for _ in range(3)]
            up = shop.table
            gone = member_down(up, "stock", "shop/stock/0#1")
            await shop.tell(gone)
            await shop.tell(member_up(gone, "stock", Member("shop/stock/0#1", 0, 1)))
            answers += [await stock.once("order") for _ in range(3)]
            await shop.client.close(UsageError("over"))
            return answers

    assert run(main()) == [1, 2, 3, 4, 5, 6]


def test_a_repetition_that_is_refused_does_not_make_the_first_attempt_undone() -> None:
    """`Overloaded` says "not done", which nobody knows of the attempt whose answer was lost."""

    async def main() -> tuple[Outcome, int]:
        async with Runtime():
            shop = Shop(Stock, replicas=2)
            first = await shop.up(0)
            stock = shop.client.ref(Stock)
            asked = asyncio.ensure_future(stock.held_at_least_once.result("order", 0.5))
            await asyncio.sleep(0.1)
            second = await shop.up(1)
            del second
            for _ in range(4):
                shop.client.shun("shop/stock/1#1", 60.0)
            first.alive = False
            await shop.tell(member_down(shop.table, "stock", "shop/stock/0#1"))
            result = await asked
            await shop.client.close(UsageError("over"))
            return result.outcome, first.server.effects["order"]

    assert run(main()) == (Outcome.UNKNOWN, 1)


def test_casts_go_on_when_a_full_mailbox_has_drained() -> None:
    async def main() -> int:
        async with Runtime():
            shop = Shop(Patient)
            replica = await shop.up(0)
            patient = shop.client.ref(Patient)
            await patient.pause(2.0)
            for _ in range(2001):
                await patient.note()
            await asyncio.sleep(0.5)
            noted: int = replica.server.noted
            await shop.client.close(UsageError("over"))
            return noted

    assert run(main()) == 2001


def test_casts_go_on_when_a_full_mailbox_has_drained_though_a_slow_call_is_under_way() -> None:
    async def main() -> tuple[int, float]:
        async with Runtime():
            shop = Shop(Patient)
            replica = await shop.up(0)
            patient = shop.client.ref(Patient)
            slow = asyncio.ensure_future(patient.slow(4.9))
            await asyncio.sleep(0.1)
            await patient.pause(1.0)
            began = asyncio.get_running_loop().time()
            for _ in range(2001):
                await patient.note()
            took_s = asyncio.get_running_loop().time() - began
            await slow
            noted: int = replica.server.noted
            await shop.client.close(UsageError("over"))
            return noted, took_s

    noted, took_s = run(main())

    assert noted == 2001
    assert took_s < 1.5


def test_a_call_exactly_once_does_not_wait_for_a_slow_call_sent_with_it() -> None:
    """The life of the service's state is not known yet, and the answer of the slow call would tell it too late."""

    async def main() -> float:
        async with Runtime():
            shop = Shop(Patient)
            await shop.up(0)
            patient = shop.client.ref(Patient)
            await patient.note()
            await asyncio.sleep(0.1)
            shop.client._lanes["shop/stock/0#1"].life = 0  # as while the service was being restarted
            slow = asyncio.ensure_future(patient.slow(3.0))
            began = asyncio.get_running_loop().time()
            await patient.once()
            took_s = asyncio.get_running_loop().time() - began
            await slow
            await shop.client.close(UsageError("over"))
            return took_s

    assert run(main()) < 0.5


def test_a_hedge_does_not_keep_an_answer_back_while_no_replica_is_known() -> None:
    async def main() -> float:
        async with Runtime():
            shop = Shop(Stock)
            await shop.up(0, 1, "slow")
            stock = shop.client.ref(Stock)
            began = asyncio.get_running_loop().time()
            asked = asyncio.ensure_future(stock.hedged())
            await asyncio.sleep(0.01)
            shop.client._install(View("stock", shop.table.view("stock").epoch))
            assert await asked == "slow"
            took_s = asyncio.get_running_loop().time() - began
            await shop.client.close(UsageError("over"))
            return took_s

    assert run(main()) < 2.5


def test_a_broadcast_cast_to_a_replica_out_of_reach_is_told_as_a_timeout_of_the_call() -> None:
    async def main() -> CallTimeout:
        async with Runtime():
            shop = Shop(Stock, pattern="broadcast")
            shop.table = member_up(shop.table, "stock", Member("shop/stock/0#1", 0, 1))
            await shop.tell(shop.table)

            async def link(name: str) -> Replica:
                await asyncio.sleep(60.0)
                raise LookupError(name)

            shop.directory.link = link  # type: ignore[method-assign]
            with pytest.raises(CallTimeout) as told:
                await shop.client.ref(Stock).note()
            await shop.client.close(UsageError("over"))
            return told.value

    told = run(main())

    assert not told.sent
    assert "note" in str(told)


def test_an_event_loop_that_ends_under_calls_leaves_no_task_behind(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        shop = Shop(Stock)
        await shop.up(0)
        calls = [asyncio.ensure_future(shop.client.ref(Stock).once("order", 4.0)) for _ in range(2)]
        await asyncio.sleep(0.1)
        assert not any(call.done() for call in calls)

    run(main())
    gc.collect()

    assert "Task was destroyed" not in caplog.text


def test_ends_of_different_versions_are_told_at_both(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> BaseException | None:
        async with Runtime():
            shop = Shop(Stock)
            await shop.up(0)
            load = envelope.load_batch

            def load_as_later_version(data: bytes) -> object:
                with monkeypatch.context() as later:
                    later.setattr(envelope, "VERSION", envelope.VERSION + 1)
                    return load(data)

            monkeypatch.setattr(envelope, "load_batch", load_as_later_version)
            result = await shop.client.ref(Stock).at_most_once.result("order")
            await shop.client.close(UsageError("over"))
            return result.error

    told = f"lane protocol {envelope.VERSION} met {envelope.VERSION + 1}: run the same raybeam at both ends"
    assert told in str(run(main()))
    assert told in caplog.text


def test_an_open_breaker_refuses_broadcasts_too_and_counts_their_failures() -> None:
    async def main() -> tuple[BreakerState, type[BaseException] | None]:
        async with Runtime():
            shop = Shop(Stock, replicas=2, breaker={"melts": 1})
            await shop.up(0)
            await shop.up(1)
            stock = shop.client.ref(Stock)
            shop.client.breakers["stock"]._clock = asyncio.get_running_loop().time
            await stock.hold.within(0.05).broadcast(0.2)
            state, refused = shop.client.breakers["stock"].state, None
            try:
                await stock.name.broadcast()
            except CircuitOpen as error:
                refused = type(error)
            await shop.client.close(UsageError("over"))
            return state, refused

    assert run(main()) == (BreakerState.BLOWN, CircuitOpen)


def test_an_open_breaker_ends_repetitions() -> None:
    async def main() -> tuple[Outcome, float]:
        async with Runtime():
            shop = Shop(Stock, breaker={"melts": 100})
            replica = await shop.up(0)
            stock = shop.client.ref(Stock)
            replica.alive = False
            asked = asyncio.ensure_future(stock.at_least_once.result("order"))
            await asyncio.sleep(0.1)
            shop.client.breakers["stock"].disable()
            began = asyncio.get_running_loop().time()
            await shop.up(0, 2)
            outcome = (await asked).outcome
            took_s = asyncio.get_running_loop().time() - began
            await shop.client.close(UsageError("over"))
            return outcome, took_s

    outcome, took_s = run(main())

    assert outcome is Outcome.UNKNOWN
    assert took_s < 1.0
