"""Registry: keys of processes, and names that lead to them."""

from collections.abc import Awaitable, Callable

import pytest

from raybeam.actors import (
    AlreadyRegistered,
    ChildSpec,
    Down,
    Exit,
    ExitMessage,
    GenServer,
    NoProcess,
    NotAProcessError,
    Pid,
    Registered,
    Registry,
    RegistrySpec,
    Runtime,
    StartError,
    Supervisor,
    SupervisorSpec,
    Unregistered,
    UsageError,
    call,
    gen_event,
    gen_server,
    process,
    registry,
)
from raybeam.actors.runtime import current_runtime
from raybeam.actors.testing import run, settle

DUPLICATE = RegistrySpec(keys="duplicate")


class Holder(GenServer):
    """Registers the keys it is started with."""

    async def init(self, *keys: str) -> None:
        for key in keys:
            registry.register("names", key, key.upper())

    @call
    async def pid_text(self) -> str:
        return str(self.pid)

    async def handle_info(self, message: object) -> None:
        raise Exit(message)


def play(body: Callable[[], Awaitable[object]], spec: RegistrySpec | None = None) -> object:
    """What `body()` gives, run in a process beside a registry with the name `names`; or how that process ended."""

    async def main() -> object:
        async with Runtime(reports=lambda report: None):
            await gen_server.start(Registry, spec, name="names")
            given: list[object] = []

            async def owner() -> None:
                given.append(await body())

            reason = await process.wait_exit(process.spawn(owner))
            return given[0] if reason == "normal" else ("owner ended", reason)

    return run(main())


# -- keys ------------------------------------------------------------------------------------------------------------


def test_an_event_manager_is_started_under_a_key() -> None:
    async def body() -> object:
        manager = await gen_event.start_link(name=registry.via("names", "alarms"))
        return await gen_event.which_handlers(registry.via("names", "alarms")), process.is_alive(manager)

    assert play(body) == ([], True)


def test_a_unique_key_has_one_process() -> None:
    async def body() -> object:
        holder = await gen_server.start(Holder, "lamp")
        with pytest.raises(AlreadyRegistered, match="'lamp' is taken") as taken:
            registry.register("names", "lamp", "mine")
        found = registry.lookup("names", "lamp")
        return taken.value.pid == holder, found == [(holder, "LAMP")], registry.keys("names", process.self_pid())

    assert play(body) == (True, True, [])


def test_a_process_cannot_register_a_unique_key_twice() -> None:
    async def body() -> object:
        registry.register("names", "lamp", 1)
        with pytest.raises(AlreadyRegistered) as taken:
            registry.register("names", "lamp", 2)
        return taken.value.pid == process.self_pid(), registry.values("names", "lamp", process.self_pid())

    assert play(body) == (True, [1])


def test_duplicate_keys_have_many_processes_and_one_process_may_have_many_entries() -> None:
    async def body() -> object:
        holder = await gen_server.start(Holder, "lamp")
        me = process.self_pid()
        registry.register("names", "lamp", 1)
        registry.register("names", "lamp", 2)
        found = sorted(registry.lookup("names", "lamp"), key=str)
        expected = sorted([(holder, "LAMP"), (me, 1), (me, 2)], key=str)
        return found == expected, registry.keys("names", me), registry.count("names")

    assert play(body, DUPLICATE) == (True, ["lamp", "lamp"], 3)


def test_entries_are_gone_the_moment_their_process_ends() -> None:
    async def body() -> object:
        holder = await gen_server.start(Holder, "lamp", "desk")
        before = registry.count("names")
        process.exit_process(holder, "kill")
        registry.register("names", "lamp", "mine")
        return before, registry.select("names") == [("lamp", process.self_pid(), "mine")]

    assert play(body) == (2, True)


def test_a_process_whose_init_fails_leaves_no_entry() -> None:
    class Failing(GenServer):
        async def init(self) -> None:
            registry.register("names", "lamp")
            raise Exit("no")

    async def body() -> object:
        with pytest.raises(StartError):
            await gen_server.start(Failing)
        with pytest.raises(StartError):
            await gen_server.start(Failing, name=registry.via("names", "desk"))
        return registry.count("names")

    assert play(body) == 0


def test_unregister_removes_the_callers_entries_of_the_key_only() -> None:
    async def body() -> object:
        await gen_server.start(Holder, "lamp")
        for key, value in (("lamp", 1), ("lamp", 2), ("desk", 3)):
            registry.register("names", key, value)
        registry.unregister("names", "lamp", lambda value: value == 2)
        after_match = registry.values("names", "lamp", process.self_pid())
        registry.unregister("names", "lamp")
        registry.unregister("names", "sofa")
        return after_match, registry.keys("names", process.self_pid()), registry.count("names")

    assert play(body, DUPLICATE) == ([1], ["desk"], 2)


def test_a_value_is_updated_by_its_process_alone() -> None:
    async def body() -> object:
        await gen_server.start(Holder, "desk")
        registry.register("names", "lamp", 1)

        def more(value: object) -> object:
            assert isinstance(value, int)
            return value + 1

        updated = registry.update_value("names", "lamp", more)
        return updated, registry.update_value("names", "desk", more), registry.update_value("names", "sofa", more)

    assert play(body) == ((2, 1), None, None)


def test_values_of_duplicate_keys_cannot_be_updated() -> None:
    async def body() -> object:
        with pytest.raises(UsageError, match="unique keys"):
            registry.update_value("names", "lamp", str)
        return "refused"

    assert play(body, DUPLICATE) == "refused"


def test_entries_are_found_by_predicates() -> None:
    async def body() -> object:
        me = process.self_pid()
        for key, value in (("lamp", 1), ("lamp", 2), ("desk", 3)):
            registry.register("names", key, value)
        odd = registry.lookup("names", "lamp", lambda value: value != 2)
        big = registry.select("names", lambda key, pid, value: key == "desk" and pid == me and value == 3)
        return odd == [(me, 1)], big == [("desk", me, 3)], len(registry.select("names"))

    assert play(body, DUPLICATE) == (True, True, 3)


def test_dispatch_calls_with_all_entries_of_the_key_and_not_without_any() -> None:
    async def body() -> object:
        me = process.self_pid()
        seen: list[object] = []
        registry.dispatch("names", "lamp", seen.append)
        registry.register("names", "lamp", 1)
        registry.register("names", "lamp", 2)
        registry.dispatch("names", "lamp", seen.append)
        return seen == [[(me, 1), (me, 2)]]

    assert play(body, DUPLICATE) is True


def test_metadata_is_kept_with_the_registry() -> None:
    async def body() -> object:
        given = registry.meta("names", "colour")
        registry.put_meta("names", "size", 3)
        registry.delete_meta("names", "colour")
        return given, registry.meta("names", "size"), registry.meta("names", "colour", "none")

    assert play(body, RegistrySpec(meta={"colour": "red"})) == ("red", 3, "none")


def test_listeners_are_told_of_what_comes_and_goes() -> None:
    async def body() -> object:
        process.register("listener", process.self_pid())
        names = process.whereis("names")
        assert names is not None
        holder = await gen_server.start(Holder, "lamp", "desk")
        process.exit_process(holder, "kill")
        registry.register("names", "sofa", 1)
        registry.unregister("names", "sofa")
        registry.unregister("names", "sofa")
        me = process.self_pid()
        return list(process.own_cell().mailbox) == [
            Registered(names, "lamp", holder, "LAMP"),
            Registered(names, "desk", holder, "DESK"),
            Unregistered(names, "lamp", holder),
            Unregistered(names, "desk", holder),
            Registered(names, "sofa", me, 1),
            Unregistered(names, "sofa", me),
        ]

    assert play(body, RegistrySpec(listeners=["listener", "nobody"])) is True


# -- the life of a registry ------------------------------------------------------------------------------------------


def test_registered_processes_end_with_the_registry() -> None:
    async def body() -> object:
        holder = await gen_server.start(Holder, "lamp")
        other = await gen_server.start(Holder)
        names = process.whereis("names")
        assert names is not None
        process.exit_process(names, "kill")
        return process.is_alive(holder), process.is_alive(other)

    assert play(body) == (False, True)


def test_a_registered_process_that_traps_exits_is_told_of_the_end_of_the_registry() -> None:
    async def body() -> object:
        process.trap_exit(True)
        registry.register("names", "lamp")
        names = process.whereis("names")
        await gen_server.stop("names")
        return await process.receive() == ExitMessage(names or process.self_pid(), "normal")

    assert play(body) is True


def test_without_entries_a_process_is_not_linked_with_the_registry() -> None:
    async def body() -> object:
        for key in ("lamp", "desk"):
            registry.register("names", key)
        registry.unregister("names", "lamp")
        linked = len(process.own_cell().links)
        registry.unregister("names", "desk")
        cell = process.own_cell()
        return linked, len(cell.links), cell.watchers and len(cell.watchers)

    assert play(body) == (1, 0, 1)  # the one watcher is `play`'s


def test_the_end_of_a_registered_process_sends_the_registry_nothing() -> None:
    async def body() -> object:
        for reason in ("kill", "boom"):
            process.exit_process(await gen_server.start(Holder, "lamp"), reason)
        await settle()
        return (await gen_server.statistics("names")).messages_handled

    assert play(body) == 2  # its start and this call


def test_restarted_processes_are_found_under_the_same_name() -> None:
    class Top(Supervisor):
        async def init(self) -> SupervisorSpec:
            lamp = registry.via("names", "lamp")

            async def start() -> Pid:
                return await gen_server.start_link(Holder, name=lamp)

            return SupervisorSpec([ChildSpec("lamp", start)])

    async def body() -> object:
        await gen_server.start(Top)
        lamp = registry.via("names", "lamp")
        first = process.whereis(lamp)
        process.send(lamp, "boom")
        await settle()
        second = process.whereis(lamp)
        return first is not None, second is not None, first != second

    assert play(body) == (True, True, True)


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_name_of_a_registry_serves_wherever_a_name_does() -> None:
    class Counter(GenServer):
        total = 0

        async def handle_cast(self, request: object) -> None:
            self.total += 1

        async def handle_info(self, message: object) -> None:
            self.total += 10

        @call
        async def count(self) -> int:
            return self.total

    async def body() -> object:
        name = registry.via("names", ("counter", 1))
        pid = await gen_server.start(Counter, name=name)
        gen_server.tell(name, "more")
        process.send(name, "much more")
        total = await gen_server.ref(Counter, name).count()
        state = await gen_server.get_state(name)
        await gen_server.stop(name)
        return total, state, process.whereis(name), process.is_alive(pid)

    assert play(body) == (11, {"total": 11}, None, False)


def test_a_name_that_is_taken_fails_the_start() -> None:
    async def body() -> object:
        holder = await gen_server.start(Holder, name=registry.via("names", "lamp"))
        with pytest.raises(StartError) as failed:
            await gen_server.start(Holder, name=registry.via("names", "lamp"))
        alive = len(current_runtime().processes())
        return failed.value.reason == ("already_started", holder), alive

    assert play(body) == (True, 3)


def test_a_living_process_is_given_a_name_of_a_registry() -> None:
    async def body() -> object:
        holder = await gen_server.start(Holder)
        process.register(registry.via("names", "lamp"), holder)
        with pytest.raises(UsageError, match="taken"):
            process.register(registry.via("names", "lamp"), process.self_pid())
        return process.whereis(registry.via("names", "lamp")) == holder

    assert play(body) is True


def test_nobody_under_a_name_is_nobody() -> None:
    async def body() -> object:
        name = registry.via("names", "lamp")
        with pytest.raises(NoProcess):
            await gen_server.request(name, "hello")
        with pytest.raises(UsageError, match="nobody has the name <'lamp' via registry 'names'>"):
            process.send(name, "hello")
        gen_server.tell(name, "hello")
        ref = process.monitor(name)
        return await process.receive() == Down(ref, name, "noproc")

    assert play(body) is True


def test_the_end_of_a_monitored_name_is_told_with_the_name() -> None:
    async def body() -> object:
        name = registry.via("names", "lamp")
        holder = await gen_server.start(Holder, name=name)
        ref = process.monitor(name)
        process.exit_process(holder, "boom")
        return await process.receive() == Down(ref, name, "boom")

    assert play(body) is True


def test_duplicate_keys_are_no_names() -> None:
    async def body() -> object:
        with pytest.raises(UsageError, match="unique keys"):
            await gen_server.start(Holder, name=registry.via("names", "lamp"))
        with pytest.raises(UsageError, match="unique keys"):
            process.whereis(registry.via("names", "lamp"))
        return registry.count("names")

    assert play(body, DUPLICATE) == 0


def test_while_the_registry_is_not_there_a_name_leads_to_nobody() -> None:
    async def body() -> object:
        name = registry.via("gone", "lamp")
        with pytest.raises(NoProcess):
            await gen_server.request(name, "hello")
        with pytest.raises(NoProcess):
            await gen_server.start(Holder, name=name)
        with pytest.raises(NoProcess):
            registry.lookup("gone", "lamp")
        return process.whereis(name)

    assert play(body) is None


def test_what_is_no_registry_is_refused() -> None:
    async def body() -> object:
        await gen_server.start(Holder, name="other")
        with pytest.raises(UsageError, match="is no Registry but Holder"):
            registry.lookup("other", "lamp")
        return "refused"

    assert play(body) == "refused"


def test_only_a_process_can_register() -> None:
    async def main() -> object:
        async with Runtime():
            await gen_server.start(Registry, name="names")
            with pytest.raises(NotAProcessError):
                registry.register("names", "lamp")
            return registry.lookup("names", "lamp")

    assert run(main()) == []


@pytest.mark.parametrize(
    ("options", "named"), [({"keys": "some"}, "keys='some'"), ({"listeners": "me"}, "listeners='me'")]
)
def test_a_wrong_option_names_its_mend(options: dict[str, str], named: str) -> None:
    make: Callable[..., object] = RegistrySpec
    with pytest.raises(UsageError, match=named):
        make(**options)
