"""Names of the whole system: several runtimes on a simulated network, under virtual time."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from raybeam.actors import (
    ChildSpec,
    ClusterError,
    Down,
    From,
    GenServer,
    NoProcess,
    Pid,
    Reply,
    Runtime,
    StartError,
    Supervisor,
    SupervisorSpec,
    UsageError,
    gen_server,
    process,
)
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.testing import Network, run
from raybeam.cluster import Global, GlobalNameConflict, global_names
from raybeam.cluster.global_names import (
    notify_all_name,
    random_exit_name,
    random_notify_name,
    re_register_name,
    register_name,
    registered_names,
    unregister_name,
    whereis_name,
)
from raybeam.cluster.name_authority import AUTHORITY, NameAuthority
from raybeam.cluster.name_server import SERVER, NameServer

T = TypeVar("T")
FIRST, SECOND = "root#1", "root#2"


class Echo(GenServer):
    async def init(self) -> None:
        self.seen: list[object] = []

    async def handle_call(self, request: object, sender: From) -> Reply:
        return Reply((self.runtime.name, request))

    async def handle_cast(self, request: object) -> None:
        self.seen.append(request)

    async def handle_info(self, message: object) -> None:
        self.seen.append(message)


class System:
    """Runtimes `one` and `two` on a network with a root."""

    def __init__(self, seed: int) -> None:
        self.network = Network(seed)
        self.runtimes: dict[str, Runtime] = {}
        self.reports: list[object] = []
        self.seed = seed

    def up(self, name: str) -> Runtime:
        runtime = self.runtimes[name] = Runtime(name, seed=self.seed, reports=self.reports.append)
        runtime.open()
        self.network.join(runtime)
        return runtime

    async def root(self, name: str, expected: tuple[str, ...] = ()) -> None:
        self.up(name)
        await self.within(name, lambda: gen_server.start(NameAuthority, lambda: expected, name=AUTHORITY))

    async def replica(self, name: str, root: str = FIRST) -> None:
        self.up(name)
        await self.within(name, lambda: global_names.start(root))
        await asyncio.sleep(1.0)

    def turn_to(self, root: str, *names: str) -> None:
        """The directory tells of another root."""
        for name in names:
            self.server(name).holdings.follow(self.runtimes[name], root)

    def server(self, name: str) -> NameServer:
        cell: Any = self.runtimes[name].cell(SERVER)
        assert isinstance(cell.server, NameServer)
        return cell.server

    async def crash(self, name: str) -> None:
        del self.runtimes[name]
        await self.network.crash(name)

    async def cut(self, one: str, other: str) -> None:
        self.network.cut(one, other)
        await asyncio.sleep(1.0)

    async def heal(self, one: str, other: str) -> None:
        self.network.heal(one, other)
        await asyncio.sleep(3.0)

    async def within(self, name: str, function: Callable[[], Awaitable[T]]) -> T:
        async def body() -> T:
            ambient_runtime.set(self.runtimes[name])
            return await function()

        return await asyncio.create_task(body())

    async def echo(self, name: str) -> Pid:
        return await self.within(name, lambda: gen_server.start(Echo))

    async def seen(self, pid: Pid) -> object:
        state = await self.within(pid.runtime, lambda: gen_server.get_state(pid))
        assert isinstance(state, dict)
        return state["seen"]

    async def whereis(self, name: object) -> list[Pid | None]:
        """Who has the name, as `one` and `two` see it."""

        async def look() -> Pid | None:
            return whereis_name(name)

        return [await self.within(place, look) for place in ("one", "two")]

    def alive(self, pid: Pid) -> bool:
        return self.runtimes[pid.runtime].cell(pid) is not None


def play(scene: Callable[[System], Awaitable[T]], seed: int = 1) -> T:
    async def main() -> T:
        system = System(seed)
        await system.root(FIRST)
        await system.replica("one")
        await system.replica("two")
        try:
            return await scene(system)
        finally:
            for runtime in system.runtimes.values():
                await runtime.close()

    return run(main())


# -- registering and reading -----------------------------------------------------------------------------------------


def test_a_process_is_found_and_reached_by_its_name_from_everywhere() -> None:
    async def scene(system: System) -> None:
        pid = await system.within("one", lambda: gen_server.start(Echo, name=Global("echo")))
        await asyncio.sleep(1.0)

        async def reach() -> object:
            gen_server.tell(Global("echo"), "cast")
            assert global_names.send("echo", "message") == pid
            process.send(Global("echo"), "another")
            return await gen_server.request(Global("echo"), "call")

        assert await system.whereis("echo") == [pid, pid]
        assert await system.within("two", reach) == ("one", "call")
        assert await system.seen(pid) == ["cast", "message", "another"]

    play(scene)


def test_it_is_monitored_and_stopped_by_its_name() -> None:
    async def scene(system: System) -> None:
        await system.within("one", lambda: gen_server.start(Echo, name=Global("echo")))
        await asyncio.sleep(1.0)
        downs: list[object] = []

        async def watch() -> None:
            process.monitor(Global("echo"))
            await gen_server.stop(Global("echo"))
            downs.append(await process.receive(timeout_s=5))

        await system.runtimes["two"].ended(system.runtimes["two"].spawn(watch))
        [down] = downs
        assert isinstance(down, Down)
        assert (down.target, down.reason) == (Global("echo"), "normal")

    play(scene)


def test_of_all_who_ask_at_the_same_time_one_gets_the_name() -> None:
    async def scene(system: System) -> None:
        pids = [await system.echo(place) for place in ("one", "two", "one", "two")]
        granted = await asyncio.gather(
            *(system.within(pid.runtime, lambda pid=pid: register_name("n", pid)) for pid in pids)  # type: ignore[misc]
        )
        await asyncio.sleep(1.0)

        assert sorted(granted) == [False, False, False, True]
        winner = pids[granted.index(True)]
        assert await system.whereis("n") == [winner, winner]
        assert await system.within("one", lambda: register_name("n", winner)) is False

    for seed in range(10):
        play(scene, seed)


def test_a_process_has_several_names_and_loses_them_with_its_end() -> None:
    async def scene(system: System) -> None:
        pid, other = await system.echo("one"), await system.echo("two")
        for name in ("a", ("b", 1)):
            assert await system.within("one", lambda name=name: register_name(name, pid))  # type: ignore[misc]
        await asyncio.sleep(1.0)

        async def names() -> object:
            return registered_names()

        assert await system.within("two", names) == ["a", ("b", 1)]
        await system.within("one", lambda: gen_server.stop(pid))
        assert (await system.whereis("a"))[0] is None
        await asyncio.sleep(1.0)
        assert await system.within("two", names) == []
        assert await system.within("two", lambda: register_name("a", other))

    play(scene)


def test_processes_of_other_runtimes_are_registered_and_unregistered_where_they_live() -> None:
    async def scene(system: System) -> None:
        pid = await system.echo("two")
        assert await system.within("one", lambda: register_name("n", pid))
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [pid, pid]
        await system.within("one", lambda: unregister_name("n"))
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [None, None]
        assert system.alive(pid)
        await system.within("one", lambda: unregister_name("n"))

    play(scene)


def test_registering_again_takes_the_name_from_who_had_it_without_a_word() -> None:
    async def scene(system: System) -> None:
        pid, other = await system.echo("one"), await system.echo("two")
        await system.within("one", lambda: register_name("n", pid))
        await system.within("two", lambda: re_register_name("n", other))
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [other, other]
        await system.within("one", lambda: gen_server.stop(pid))
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [other, other]

    play(scene)


def test_what_cannot_be_a_name_is_told() -> None:
    class Odd:
        pass

    async def scene(system: System) -> None:
        pid = await system.echo("one")

        async def by_hand() -> None:
            process.register(Global("n"), pid)

        for name, why in (([], "unhashable"), (Odd(), "cannot name"), ("x" * 2000, "too large"), (Plain(), "a copy")):
            with pytest.raises(UsageError, match=why):
                await system.within("one", lambda name=name: register_name(name, pid))  # type: ignore[misc]
        with pytest.raises(UsageError, match="conflict="):
            await system.within("one", lambda: register_name("n", pid, "kill"))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="the root must be asked"):
            await system.within("one", by_hand)
        with pytest.raises(UsageError, match="there are no global names"):
            await system.within(FIRST, lambda: register_name("n", pid))
        assert await system.within("one", lambda: register_name(Point(1, 2), pid))
        await asyncio.sleep(1.0)
        assert await system.whereis(Point(1, 2)) == [pid, pid]

    play(scene)


def test_a_name_that_cannot_be_read_elsewhere_does_no_harm_there() -> None:
    async def scene(system: System) -> None:
        pid = await system.echo("one")
        assert await system.within("one", lambda: register_name(Secret(1), pid))
        assert await system.within("one", lambda: register_name("plain", pid))
        await asyncio.sleep(1.0)
        assert await system.whereis("plain") == [pid, pid]
        assert list(system.server("two").table.values()) == [pid, pid]

    play(scene)


def test_a_process_that_has_ended_gets_no_name() -> None:
    async def scene(system: System) -> None:
        pid = await system.echo("one")
        await system.within("one", lambda: gen_server.stop(pid))
        for place in ("one", "two"):
            with pytest.raises(NoProcess):
                await system.within(place, lambda: register_name("n", pid))

    play(scene)


@dataclass(frozen=True)
class Point:
    x: int
    y: int


class Plain:
    """Equal to itself only."""


def unreadable(number: int) -> "Secret":
    if Secret.readings >= 2:
        raise ImportError("no such class here")
    Secret.readings += 1
    return Secret(number)


@dataclass(frozen=True)
class Secret:
    """Can be read by those who make it, and no further."""

    number: int
    readings = 0

    def __reduce__(self) -> tuple[object, ...]:
        return unreadable, (self.number,)


# -- starting under a name -------------------------------------------------------------------------------------------


def test_a_start_under_a_name_that_is_taken_fails_as_in_otp_and_leaves_nothing() -> None:
    async def scene(system: System) -> None:
        pid = await system.within("one", lambda: gen_server.start(Echo, name=Global("n")))
        before = system.runtimes["two"].processes()
        with pytest.raises(StartError) as failed:
            await system.within("two", lambda: gen_server.start(Echo, name=Global("n")))
        assert failed.value.reason == ("already_started", pid)
        assert system.runtimes["two"].processes() == before

    play(scene)


class Keeper(Supervisor):
    async def init(self) -> SupervisorSpec:
        async def start() -> Pid:
            return await gen_server.start_link(Echo, name=Global("kept"))

        return SupervisorSpec([ChildSpec("echo", start)])


def test_a_supervisor_restarts_a_process_under_its_name() -> None:
    async def scene(system: System) -> None:
        await system.within("one", lambda: gen_server.start(Keeper))
        await asyncio.sleep(1.0)
        [before, _] = await system.whereis("kept")
        assert before is not None
        system.runtimes["one"].exit(None, before, "kill")
        await asyncio.sleep(1.0)
        [after, same] = await system.whereis("kept")
        assert after is not None
        assert after != before
        assert same == after

    play(scene)


def test_a_start_that_is_cancelled_while_it_waits_for_the_name_leaves_nothing() -> None:
    async def scene(system: System) -> None:
        await system.crash(FIRST)
        before = system.runtimes["one"].processes()
        starting = asyncio.ensure_future(system.within("one", lambda: gen_server.start(Echo, name=Global("n"))))
        await asyncio.sleep(1.0)
        assert len(system.runtimes["one"].processes()) == len(before) + 1
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert system.runtimes["one"].processes() == before
        assert system.server("one")._claims.claims == []

    play(scene)


def test_a_global_name_survives_pickling() -> None:
    name = Global(("a", 1), random_notify_name)

    assert pickle.loads(pickle.dumps(name)) == name
    assert repr(Global("a")) == "<'a' via global names>"


# -- losses ----------------------------------------------------------------------------------------------------------


def test_names_of_a_lost_replica_are_free_again() -> None:
    async def scene(system: System) -> None:
        pid, other = await system.echo("two"), await system.echo("one")
        await system.within("two", lambda: register_name("n", pid))
        await asyncio.sleep(1.0)
        assert await system.within("one", lambda: register_name("n", other)) is False
        await system.crash("two")
        await asyncio.sleep(1.0)
        assert await system.within("one", lambda: register_name("n", other)) is True

    play(scene)


def test_while_the_root_is_away_names_are_found_and_registering_waits() -> None:
    async def scene(system: System) -> None:
        pid, other = await system.echo("one"), await system.echo("two")
        await system.within("one", lambda: register_name("n", pid))
        await asyncio.sleep(1.0)
        await system.crash(FIRST)
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [pid, pid]
        with pytest.raises(
            ClusterError, match=r"the root has not answered for 2\.0 s: the name 'm' was not registered"
        ):
            await system.within("two", lambda: register_name("m", other, timeout_s=2.0))
        with pytest.raises(StartError) as failed:
            await system.within("two", lambda: gen_server.start(Echo, name=Global("o")))
        assert "name_not_registered" in str(failed.value.reason)

        waiting = asyncio.ensure_future(system.within("two", lambda: register_name("late", other, timeout_s=10.0)))
        await asyncio.sleep(1.0)
        await system.root(SECOND, expected=("one", "two"))
        system.turn_to(SECOND, "one", "two")
        assert await waiting is True
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [pid, pid]
        assert await system.whereis("m") == [None, None]
        assert await system.within("two", lambda: register_name("n", other)) is False

    play(scene)


def test_a_new_root_gives_no_name_away_before_its_holder_could_speak() -> None:
    async def scene(system: System) -> list[bool]:
        pid, other = await system.echo("one"), await system.echo("two")
        await system.within("one", lambda: register_name("n", pid))
        await system.crash(FIRST)
        await system.root(SECOND, expected=("one", "two"))
        system.turn_to(SECOND, "two")
        taking = asyncio.ensure_future(system.within("two", lambda: register_name("n", other, timeout_s=10.0)))
        await asyncio.sleep(3.0)
        early = taking.done()
        system.turn_to(SECOND, "one")
        return [early, await taking, system.alive(pid), system.alive(other)]

    assert play(scene) == [False, False, True, True]


def test_a_new_root_does_not_wait_for_the_lost_nor_for_ever_for_the_silent() -> None:
    async def scene(system: System) -> list[float]:
        other = await system.echo("two")
        waited = []
        for root, silent in ((SECOND, "gone"), ("root#3", "one")):
            await system.root(root, expected=(silent, "two"))
            if silent == "gone":
                system.up("gone")
                await asyncio.sleep(0.5)
                await system.crash("gone")
            system.turn_to(root, "two")
            began = asyncio.get_running_loop().time()
            assert await system.within("two", lambda root=root: register_name(root, other, timeout_s=20.0))  # type: ignore[misc]
            waited.append(asyncio.get_running_loop().time() - began)
        return waited

    lost, silent = play(scene)

    assert lost < 1.0
    assert 4.0 < silent < 6.0


def test_what_is_given_back_while_the_root_is_away_is_free_when_it_is_back() -> None:
    async def scene(system: System) -> None:
        pid, other = await system.echo("one"), await system.echo("two")
        await system.within("one", lambda: register_name("n", pid))
        await asyncio.sleep(1.0)
        await system.crash(FIRST)
        with pytest.raises(ClusterError, match="others may still find the name 'n'"):
            await system.within("one", lambda: unregister_name("n", timeout_s=1.0))
        assert await system.whereis("n") == [None, pid]
        await system.root(SECOND, expected=("one", "two"))
        system.turn_to(SECOND, "one", "two")
        assert await system.within("two", lambda: register_name("n", other)) is True

    play(scene)


def test_a_name_server_that_is_killed_takes_its_claims_up_again() -> None:
    async def scene(system: System) -> None:
        pid, dead = await system.echo("one"), await system.echo("one")
        await system.within("one", lambda: register_name("n", pid))
        await system.within("one", lambda: register_name("m", dead))
        holdings = system.server("one").holdings
        server = system.runtimes["one"].cell(SERVER)
        assert server is not None
        system.runtimes["one"].exit(None, server.pid, "kill")
        await system.within("one", lambda: gen_server.stop(dead))
        await system.within("one", lambda: gen_server.start(NameServer, holdings, name=SERVER))
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [pid, pid]
        assert await system.whereis("m") == [None, None]
        await system.within("one", lambda: gen_server.stop(pid))
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [None, None]

    play(scene)


def test_an_authority_that_is_killed_learns_the_names_again() -> None:
    async def scene(system: System) -> None:
        pid, other = await system.echo("one"), await system.echo("two")
        await system.within("one", lambda: register_name("n", pid))
        authority = system.runtimes[FIRST].cell(AUTHORITY)
        assert authority is not None
        system.runtimes[FIRST].exit(None, authority.pid, "kill")
        names = ("one", "two")
        await system.within(FIRST, lambda: gen_server.start(NameAuthority, lambda: names, name=AUTHORITY))
        assert await system.within("two", lambda: register_name("n", other)) is False
        assert await system.whereis("n") == [pid, pid]

    play(scene)


# -- conflicts -------------------------------------------------------------------------------------------------------


async def conflict(system: System, rule: Any, other_rule: Any = random_exit_name) -> tuple[Pid, Pid]:
    """`one` has the name, is cut off from the root, `two` takes the name, and `one` comes back."""
    pid, other = await system.echo("one"), await system.echo("two")
    assert await system.within("one", lambda: register_name("n", pid, rule))
    await system.cut("one", FIRST)
    assert await system.within("two", lambda: register_name("n", other, other_rule))
    await system.heal("one", FIRST)
    return pid, other


def test_random_exit_name_kills_one_of_both_and_the_other_has_the_name() -> None:
    async def scene(system: System) -> bool:
        pid, other = await conflict(system, random_exit_name)
        winner, loser = (pid, other) if system.alive(pid) else (other, pid)
        assert system.alive(winner)
        assert not system.alive(loser)
        assert await system.whereis("n") == [winner, winner]
        assert await system.seen(winner) == []
        return winner == pid

    assert {play(scene, seed) for seed in range(8)} == {True, False}
    assert [play(scene, seed) for seed in range(8)] == [play(scene, seed) for seed in range(8)]


def test_random_notify_name_tells_the_loser_which_lives_on() -> None:
    async def scene(system: System) -> bool:
        pid, other = await conflict(system, random_notify_name)
        [winner, same] = await system.whereis("n")
        assert winner is not None
        assert same == winner
        loser = other if winner == pid else pid
        assert await system.seen(loser) == [GlobalNameConflict("n", winner)]
        assert await system.seen(winner) == []
        return winner == pid

    assert {play(scene, seed) for seed in range(8)} == {True, False}


def test_notify_all_name_frees_the_name_and_tells_both() -> None:
    async def scene(system: System) -> None:
        pid, other = await conflict(system, notify_all_name)
        assert await system.whereis("n") == [None, None]
        assert await system.seen(pid) == [GlobalNameConflict("n", other)]
        assert await system.seen(other) == [GlobalNameConflict("n", pid)]
        assert await system.within("one", lambda: register_name("n", pid))

    play(scene)


async def the_newer(name: object, has_it: Pid, came_back: Pid) -> Pid:
    await asyncio.sleep(1.0)
    return came_back


def nobody(name: object, has_it: Pid, came_back: Pid) -> None:
    return None


def broken(name: object, has_it: Pid, came_back: Pid) -> Pid:
    raise RuntimeError("cannot choose")


@pytest.mark.parametrize(
    ("chooser", "winner"),
    [(the_newer, 0), (lambda name, has_it, came_back: has_it, 1), (nobody, None), (broken, None)],
)
def test_a_function_chooses_and_the_loser_is_just_unregistered(chooser: Any, winner: int | None) -> None:
    async def scene(system: System) -> None:
        pids = await conflict(system, chooser)
        expected = None if winner is None else pids[winner]
        assert await system.whereis("n") == [expected, expected]
        assert [await system.seen(pid) for pid in pids] == [[], []]

    play(scene)


def test_a_function_may_leave_the_choice_to_a_rule() -> None:
    async def scene(system: System) -> None:
        pid, other = await conflict(system, lambda name, one, two: notify_all_name)
        assert await system.seen(pid) == [GlobalNameConflict("n", other)]

    play(scene)


def test_a_function_that_never_answers_gives_nobody_the_name() -> None:
    async def stuck(name: object, one: Pid, two: Pid) -> Pid:
        await asyncio.sleep(1e6)
        return one

    async def scene(system: System) -> None:
        pid, other = await conflict(system, stuck)
        assert await system.whereis("n") == [other, other]
        await asyncio.sleep(5.0)
        assert await system.whereis("n") == [None, None]
        assert system.alive(pid)

    play(scene)


def test_when_the_holder_ends_before_a_function_has_chosen_the_other_has_the_name() -> None:
    async def slow(name: object, one: Pid, two: Pid) -> Pid:
        await asyncio.sleep(4.9)
        return one

    async def scene(system: System) -> None:
        pid, other = await conflict(system, slow)
        await system.within("two", lambda: gen_server.stop(other))
        await asyncio.sleep(1.0)
        assert await system.whereis("n") == [pid, pid]
        await asyncio.sleep(5.0)
        assert await system.whereis("n") == [pid, pid]

    play(scene)
