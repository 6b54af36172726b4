"""Process groups: joins are counted, deaths leave, monitors are told, scopes of several runtimes agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import pytest

from raybeam.actors import (
    ChildSpec,
    GenServer,
    NoProcess,
    NotAProcessError,
    Pid,
    Ref,
    Runtime,
    StartError,
    Supervisor,
    SupervisorSpec,
    UsageError,
    gen_server,
    pg,
    process,
)
from raybeam.actors.testing import Network, run, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


R = TypeVar("R")


async def sleeper() -> None:
    await process.receive(lambda message: False)


def quiet(name: str | None = None) -> Runtime:
    return Runtime(name, reports=lambda report: None)


class Watcher:
    """A process that monitors, and keeps what it is told."""

    def __init__(self, subscribe: Callable[[], Awaitable[tuple[Ref, object]]]) -> None:
        self.subscribe = subscribe
        self.told: list[tuple[str, object, list[Pid]]] = []
        self.first: object = None
        self.pid = process.spawn(self.live)

    async def live(self) -> None:
        ref, self.first = await self.subscribe()
        while True:
            message = await process.receive()
            assert isinstance(message, pg.Joined | pg.Left)
            assert message.ref == ref
            self.told.append((type(message).__name__, message.group, list(message.pids)))


async def watching(subscribe: Callable[[], Awaitable[tuple[Ref, object]]]) -> Watcher:
    watcher = Watcher(subscribe)
    await settle()
    return watcher


# -- members ---------------------------------------------------------------------------------------------------------


def test_a_group_is_there_while_it_has_members() -> None:
    async def main() -> list[object]:
        async with quiet():
            await pg.start()
            one, two = process.spawn(sleeper), process.spawn(sleeper)
            seen: list[object] = [pg.get_members("g"), pg.which_groups()]
            await pg.join("g", one)
            await pg.join("g", two)
            seen += [sorted(pg.get_members("g")) == [one, two], pg.which_groups()]
            seen += [await pg.leave("g", one), pg.get_members("g") == [two]]
            seen += [await pg.leave("g", two), pg.which_groups(), await pg.leave("g", two)]
            return seen

    assert run(main()) == [[], [], True, ["g"], True, True, True, [], False]


def test_joining_with_no_process_makes_an_empty_group_that_goes_with_its_next_member() -> None:
    async def main() -> list[object]:
        async with quiet():
            await pg.start()
            watcher = await watching(pg.monitor_scope)
            await pg.join("g", [])
            seen: list[object] = [pg.which_groups(), pg.get_members("g"), await pg.leave("g", [])]
            one = process.spawn(sleeper)
            await pg.join("g", one)
            await pg.leave("g", one)
            await settle()
            told = [(kind, group, len(pids)) for kind, group, pids in watcher.told]
            return [*seen, pg.which_groups(), told]

    assert run(main()) == [["g"], [], False, [], [("Joined", "g", 0), ("Joined", "g", 1), ("Left", "g", 1)]]


def test_a_process_is_listed_once_per_join_and_each_leave_takes_one() -> None:
    async def main() -> list[dict[str, int]]:
        async with quiet():
            await pg.start()
            one, two = process.spawn(sleeper), process.spawn(sleeper)
            await pg.join("g", [one, two, one])
            await pg.join("g", one)
            seen = [Counter(pg.get_members("g"))]
            await pg.leave("g", one)
            seen.append(Counter(pg.get_members("g")))
            await pg.leave("g", [one] * 5)
            seen.append(Counter(pg.get_members("g")))
            return [{"one": found[one], "two": found[two]} for found in seen]

    assert run(main()) == [{"one": 3, "two": 1}, {"one": 2, "two": 1}, {"one": 0, "two": 1}]


def test_a_list_leaves_when_one_of_it_was_a_member() -> None:
    async def main() -> tuple[bool, bool, bool]:
        async with quiet():
            await pg.start()
            one, two = process.spawn(sleeper), process.spawn(sleeper)
            await pg.join("g", one)
            return await pg.leave("g", [two, one]), await pg.leave("g", [two, one]), await pg.leave("g", [])

    assert run(main()) == (True, False, False)


def test_a_death_leaves_all_groups() -> None:
    async def main() -> tuple[bool, list[object]]:
        async with quiet():
            await pg.start()
            one, two = process.spawn(sleeper), process.spawn(sleeper)
            await pg.join("g", [one, one, two])
            await pg.join("h", one)
            process.exit_process(one, "boom")
            await settle()
            return pg.get_members("g") == [two], pg.which_groups()

    assert run(main()) == (True, ["g"])


def test_one_that_is_dead_already_joins_and_leaves_at_once() -> None:
    async def main() -> tuple[list[Pid], list[str]]:
        async with quiet():
            await pg.start()
            watcher = await watching(lambda: pg.monitor("g"))
            dead = process.spawn(sleeper)
            process.exit_process(dead, "kill")
            await pg.join("g", [dead, dead])
            await settle()
            return pg.get_members("g"), [kind for kind, _, _ in watcher.told]

    assert run(main()) == ([], ["Joined", "Left", "Left"])


def test_a_process_that_left_everything_is_not_watched_any_more() -> None:
    async def main() -> tuple[int, list[str]]:
        async with quiet() as runtime:
            await pg.start()
            watcher = await watching(lambda: pg.monitor("g"))
            one = process.spawn(sleeper)
            for _ in range(3):
                await pg.join("g", one)
                await pg.leave("g", one)
            cell = runtime.cell(one)
            assert cell is not None
            watches = len(cell.watchers or ())
            process.exit_process(one, "kill")
            await settle()
            return watches, [kind for kind, _, _ in watcher.told]

    assert run(main()) == (0, ["Joined", "Left"] * 3)


def test_what_is_not_hashable_names_no_group_and_the_scope_lives_on() -> None:
    async def main() -> list[object]:
        async with quiet():
            await pg.start()
            one = process.spawn(sleeper)
            for function in (pg.join, pg.leave):
                with pytest.raises(UsageError, match="cannot name a group"):
                    await function(["a", "list"], one)
            await pg.join(("topic", 1), one)
            return pg.which_groups()

    assert run(main()) == [("topic", 1)]


def test_a_process_of_another_runtime_is_refused() -> None:
    async def main() -> None:
        async with quiet():
            await pg.start()
            with pytest.raises(UsageError, match="joins and leaves where it lives"):
                await pg.join("g", Pid("elsewhere", 1))
            with pytest.raises(UsageError, match="joins and leaves where it lives"):
                await pg.leave("g", [Pid("elsewhere", 1)])

    run(main())


# -- monitors --------------------------------------------------------------------------------------------------------


def test_a_monitor_of_a_group_is_told_the_members_and_then_each_change_of_that_group() -> None:
    async def main() -> tuple[object, list[tuple[str, object, list[Pid]]], Pid, Pid]:
        async with quiet():
            await pg.start()
            one, two = process.spawn(sleeper), process.spawn(sleeper)
            await pg.join("g", one)
            watcher = await watching(lambda: pg.monitor("g"))
            await pg.join("g", [two, two])
            await pg.join("h", two)
            await pg.leave("g", [one, two])
            process.exit_process(two, "kill")
            await settle()
            return watcher.first == [one], watcher.told, one, two

    first, told, one, two = run(main())

    assert first
    assert told == [("Joined", "g", [two, two]), ("Left", "g", [one, two]), ("Left", "g", [two])]


def test_the_death_of_one_that_joined_three_times_is_three_messages() -> None:
    async def main() -> list[str]:
        async with quiet():
            await pg.start()
            watcher = await watching(lambda: pg.monitor("g"))
            one = process.spawn(sleeper)
            await pg.join("g", [one] * 3)
            process.exit_process(one, "kill")
            await settle()
            return [kind for kind, _, pids in watcher.told if pids == [one] or kind == "Joined"]

    assert run(main()) == ["Joined", "Left", "Left", "Left"]


def test_a_leave_that_changes_nothing_is_not_told_one_that_does_is_told_as_it_was_asked_for() -> None:
    async def main() -> tuple[list[tuple[str, object, list[Pid]]], Pid, Pid]:
        async with quiet():
            await pg.start()
            watcher = await watching(lambda: pg.monitor("g"))
            one, two = process.spawn(sleeper), process.spawn(sleeper)
            await pg.leave("g", one)
            await pg.join("g", one)
            await pg.leave("g", [one, two])
            await settle()
            return watcher.told, one, two

    told, one, two = run(main())

    assert told == [("Joined", "g", [one]), ("Left", "g", [one, two])]


def test_a_monitor_of_the_scope_is_told_of_all_groups() -> None:
    async def main() -> tuple[object, list[tuple[str, object]]]:
        async with quiet():
            await pg.start()
            one = process.spawn(sleeper)
            await pg.join("g", [one, one])
            watcher = await watching(pg.monitor_scope)
            await pg.join("h", one)
            await pg.leave("g", one)
            await settle()
            return watcher.first == {"g": [one, one]}, [(kind, group) for kind, group, _ in watcher.told]

    assert run(main()) == (True, [("Joined", "h"), ("Left", "g")])


def test_after_demonitor_nothing_comes_and_nothing_lies_in_the_mailbox() -> None:
    async def main() -> tuple[list[object], bool, bool]:
        async with quiet():
            await pg.start()
            one = process.spawn(sleeper)
            done: asyncio.Future[tuple[list[object], bool, bool]] = asyncio.get_running_loop().create_future()

            async def client() -> None:
                ref, _ = await pg.monitor("g")
                kept, _ = await pg.monitor_scope()
                await pg.join("g", one)
                process.send(process.self_pid(), "plain")
                first, second = await pg.demonitor(ref), await pg.demonitor(ref)
                await pg.leave("g", one)
                mailbox: list[object] = [await process.receive(timeout_s=0) for _ in range(3)]
                with pytest.raises(TimeoutError):
                    await process.receive(timeout_s=1)
                told = [(type(m), m.ref == kept) if isinstance(m, pg.Joined | pg.Left) else m for m in mailbox]
                done.set_result((told, first, second))

            process.spawn(client)
            return await done

    assert run(main()) == ([(pg.Joined, True), "plain", (pg.Left, True)], True, False)


def test_a_monitor_whose_process_died_is_forgotten() -> None:
    async def main() -> tuple[dict[Ref, Pid], dict[object, dict[Ref, Pid]]]:
        async with quiet() as runtime:
            scope = await pg.start()
            for watcher in (await watching(pg.monitor_scope), await watching(lambda: pg.monitor("g"))):
                process.exit_process(watcher.pid, "kill")
            await settle()
            state = await gen_server.get_state(scope)
            assert isinstance(state, dict)
            assert runtime.cell(scope) is not None
            return state["_tables"].scope_monitors, state["_tables"].group_monitors

    assert run(main()) == ({}, {})


def test_a_member_that_is_a_monitor_too_may_stop_watching_and_is_still_seen_to_die() -> None:
    async def main() -> list[Pid]:
        async with quiet():
            await pg.start()

            async def member() -> None:
                await pg.join("g", process.self_pid())
                ref, _ = await pg.monitor("g")
                await pg.demonitor(ref)
                await pg.monitor_scope()
                await sleeper()

            pid = process.spawn(member)
            await settle()
            assert pg.get_members("g") == [pid]
            process.exit_process(pid, "kill")
            await settle()
            return pg.get_members("g")

    assert run(main()) == []


def test_only_a_process_can_monitor() -> None:
    async def main() -> None:
        async with quiet():
            await pg.start()
            with pytest.raises(NotAProcessError):
                await pg.monitor("g")
            with pytest.raises(NotAProcessError):
                await pg.monitor_scope()

    run(main())


# -- scopes ----------------------------------------------------------------------------------------------------------


def test_scopes_are_independent() -> None:
    async def main() -> tuple[list[object], list[object], bool]:
        async with quiet():
            await pg.start()
            await pg.start("other")
            one = process.spawn(sleeper)
            await pg.join("g", one, scope="other")
            return pg.which_groups(), pg.which_groups(scope="other"), await pg.leave("g", one)

    assert run(main()) == ([], ["g"], False)


def test_without_its_scope_a_group_is_empty_and_nobody_can_join() -> None:
    async def main() -> list[Pid]:
        async with quiet():
            one = process.spawn(sleeper)
            with pytest.raises(NoProcess):
                await pg.join("g", one)
            with pytest.raises(UsageError, match=r"start it with pg\.start"):
                pg.which_groups()
            process.register("no scope", one)
            return [*pg.get_members("g"), *pg.get_local_members("g"), *pg.get_members("g", scope="no scope")]

    assert run(main()) == []


def test_a_scope_has_its_name_for_itself() -> None:
    async def main() -> bool:
        async with quiet():
            scope = await pg.start()
            with pytest.raises(StartError) as caught:
                await pg.start()
            return caught.value.reason == ("already_started", scope)

    assert run(main())


class Member(GenServer):
    async def init(self) -> None:
        await pg.join("g", self.pid, scope="mine")


@pytest.mark.parametrize("start", [(pg.Scope, "mine"), (pg.start_link, "mine")])
def test_a_scope_that_dies_loses_its_groups_and_comes_back_with_those_that_restart_with_it(start: object) -> None:
    class Top(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec([ChildSpec("pg", start), ChildSpec("member", Member)], strategy="rest_for_one")

    async def main() -> tuple[int, int, list[Pid], bool]:
        async with quiet():
            outsider = process.spawn(sleeper)
            await gen_server.start(Top)
            await pg.join("g", outsider, scope="mine")
            before = pg.get_members("g", scope="mine")
            scope = process.whereis("mine")
            assert scope is not None
            process.exit_process(scope, "kill")
            await settle()
            after = pg.get_members("g", scope="mine")
            return len(before), len(after), [pid for pid in after if pid in before], process.is_alive(outsider)

    assert run(main()) == (2, 1, [], True)


def test_a_foreign_message_does_not_harm_the_scope() -> None:
    async def main() -> bool:
        async with quiet():
            scope = await pg.start()
            process.send(scope, "hello")
            await settle()
            return process.is_alive(scope)

    assert run(main())


# -- several runtimes ------------------------------------------------------------------------------------------------


class World:
    """Some runtimes with a scope each; `at` does something in one of them."""

    def __init__(self, *names: str) -> None:
        self.network = Network(delay_s=0.0)
        self.runtimes = {name: quiet(name) for name in names}
        self.scopes: dict[str, Pid] = {}

    async def __aenter__(self) -> World:
        for name, runtime in self.runtimes.items():
            runtime.open()
            self.network.join(runtime)
            self.scopes[name] = await self.at(name, lambda: gen_server.start(pg.Scope))
        return self

    async def __aexit__(self, *_: object) -> None:
        for runtime in self.runtimes.values():
            await runtime.close()

    async def at(self, name: str, function: Callable[[], Awaitable[R]]) -> R:
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        async def body() -> None:
            done.set_result(await function())

        self.runtimes[name].spawn(body)
        return await done

    async def member(self, name: str, group: str, times: int = 1) -> Pid:
        """A process of a runtime that has joined a group."""
        pid = self.runtimes[name].spawn(sleeper)
        await self.at(name, lambda: pg.join(group, [pid] * times))
        await settle()
        return pid

    async def seen(self, name: str, group: str) -> tuple[Counter[Pid], Counter[Pid]]:
        """The members that a runtime sees, and those of them that are its own."""

        async def look() -> tuple[Counter[Pid], Counter[Pid]]:
            return Counter(pg.get_members(group)), Counter(pg.get_local_members(group))

        return await self.at(name, look)

    def kill(self, pid: Pid) -> None:
        self.runtimes[pid.runtime].exit(None, pid, "kill")


def test_peers_that_meet_learn_each_others_members_both_ways() -> None:
    async def main() -> None:
        async with World("north", "south") as world:
            one, two = await world.member("north", "g", 2), await world.member("south", "g")

            assert await world.seen("north", "g") == (Counter({one: 2, two: 1}), Counter({one: 2}))
            assert await world.seen("south", "g") == (Counter({one: 2, two: 1}), Counter({two: 1}))

    run(main())


def test_joins_leaves_and_deaths_are_seen_by_the_peers_and_their_monitors() -> None:
    async def main() -> tuple[list[tuple[str, object, list[Pid]]], Pid, Pid]:
        async with World("north", "south") as world:
            watcher = await world.at("south", lambda: watching(lambda: pg.monitor("g")))
            one, two = await world.member("north", "g", 2), await world.member("north", "g")
            await world.at("north", lambda: pg.leave("g", one))
            world.kill(two)
            await settle()

            assert await world.seen("south", "g") == (Counter({one: 1}), Counter())
            return list(watcher.told), one, two

    told, one, two = run(main())

    assert told == [("Joined", "g", [one, one]), ("Joined", "g", [two]), ("Left", "g", [one]), ("Left", "g", [two])]


def test_the_members_of_a_peer_that_dies_are_gone_and_come_back_with_its_successor() -> None:
    async def main() -> None:
        async with World("north", "south", "west") as world:
            one, two = await world.member("north", "g"), await world.member("west", "g")
            world.kill(world.scopes["north"])
            await settle()

            assert await world.seen("south", "g") == (Counter({two: 1}), Counter())

            world.scopes["north"] = await world.at("north", lambda: gen_server.start(pg.Scope))
            await world.at("north", lambda: pg.join("g", one))
            await settle()

            assert await world.seen("south", "g") == (Counter({one: 1, two: 1}), Counter())
            assert await world.seen("north", "g") == (Counter({one: 1, two: 1}), Counter({one: 1}))

    run(main())
