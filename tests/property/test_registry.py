"""The registry against a naive model: a list of entries."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from raybeam.actors import (
    AlreadyRegistered,
    From,
    GenServer,
    Pid,
    Registered,
    Registry,
    RegistrySpec,
    Reply,
    Runtime,
    StartError,
    Unregistered,
    gen_server,
    process,
    registry,
)
from raybeam.actors.server_cell import ServerCell
from raybeam.actors.testing import VirtualTimeLoop, settle

R = TypeVar("R")
KEYS = st.sampled_from(["lamp", "desk", ("sofa", 1), None])
VALUES = st.integers(0, 3)


class Doer(GenServer):
    """Does what it is asked, as itself."""

    async def handle_call(self, request: object, sender: From) -> Reply:
        assert callable(request)
        return Reply(request())


class Listener(GenServer):
    async def init(self) -> None:
        self.events: list[object] = []

    async def handle_info(self, message: object) -> None:
        self.events.append(message)

    async def handle_call(self, request: object, sender: From) -> Reply:
        return Reply(self.events)


class RegistryMachine(RuleBasedStateMachine):
    living = Bundle("living")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.entries: list[tuple[object, Pid, object]] = []
        self.events: list[object] = []
        self.alive: list[Pid] = []

    def go(self, coroutine: Coroutine[object, object, R]) -> R:
        return self.runner.run(coroutine)

    def do(self, pid: Pid, work: Callable[[], object]) -> object:
        """Do something as process `pid`."""
        return self.go(gen_server.request(pid, work))

    @initialize(unique=st.booleans())
    def open(self, unique: bool) -> None:
        self.unique = unique
        self.runtime = Runtime(reports=lambda report: None)

        async def begin() -> Pid:
            await self.runtime.__aenter__()
            self.listener = await gen_server.start(Listener)
            spec = RegistrySpec(keys="unique" if unique else "duplicate", listeners=[self.listener])
            return await gen_server.start(Registry, spec, name="names")

        self.registry = self.go(begin())

    def teardown(self) -> None:
        if hasattr(self, "runtime"):
            self.go(self.runtime.close())
        self.runner.close()

    def entered(self, key: object, pid: Pid, value: object) -> None:
        self.entries.append((key, pid, value))
        self.events.append(Registered(self.registry, key, pid, value))

    def gone(self, entries: list[tuple[object, Pid, object]]) -> None:
        self.entries = [entry for entry in self.entries if entry not in entries]
        self.events += [Unregistered(self.registry, key, pid) for key, pid, _ in entries]

    @rule(target=living)
    def start(self) -> Pid:
        pid = self.go(gen_server.start(Doer))
        self.alive.append(pid)
        return pid

    @rule(target=living, key=KEYS)
    def start_under_a_name(self, key: object) -> object:
        if not self.unique:
            return multiple()
        name = registry.via("names", key)
        holders = [pid for taken, pid, _ in self.entries if taken == key]
        if holders:
            with pytest.raises(StartError) as failed:
                self.go(gen_server.start(Doer, name=name))
            assert failed.value.reason == ("already_started", holders[0])
            return multiple()
        pid = self.go(gen_server.start(Doer, name=name))
        self.alive.append(pid)
        self.entered(key, pid, None)
        return pid

    @rule(pid=consumes(living), reason=st.sampled_from(["kill", "boom", "shutdown"]))
    def end(self, pid: Pid, reason: str) -> None:
        self.alive.remove(pid)

        async def end() -> None:
            process.exit_process(pid, reason)

        self.go(end())
        mine = [entry for entry in self.entries if entry[1] == pid]
        self.gone(sorted(mine, key=lambda entry: [name for name, _, _ in mine].index(entry[0])))

    @rule(pid=living, key=KEYS, values=st.lists(VALUES, min_size=1, max_size=3))
    def register(self, pid: Pid, key: object, values: list[int]) -> None:
        for value in values:
            self.register_one(pid, key, value)

    def register_one(self, pid: Pid, key: object, value: int) -> None:
        def work() -> object:
            try:
                registry.register("names", key, value)
            except AlreadyRegistered as taken:
                return taken.pid
            return None

        holders = [holder for name, holder, _ in self.entries if name == key] if self.unique else []
        assert self.do(pid, work) == (holders[0] if holders else None)
        if not holders:
            self.entered(key, pid, value)

    @rule(pid=living, key=KEYS)
    def unregister(self, pid: Pid, key: object) -> None:
        self.unregister_below(pid, key, None)

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), below=st.integers(0, 4))
    def unregister_some(self, data: st.DataObject, below: int) -> None:
        key, pid, _ = data.draw(st.sampled_from(self.entries))
        self.unregister_below(pid, key, below)

    def unregister_below(self, pid: Pid, key: object, below: int | None) -> None:
        def match(value: object) -> bool:
            return below is None or (isinstance(value, int) and value < below)

        self.do(pid, lambda: registry.unregister("names", key, None if below is None else match))
        self.gone([entry for entry in self.entries if entry[:2] == (key, pid) and match(entry[2])])

    @rule(pid=living, key=KEYS)
    def update(self, pid: Pid, key: object) -> None:
        if not self.unique:
            return
        updated = self.do(pid, lambda: registry.update_value("names", key, lambda old: (old, "more")))
        old = [value for name, holder, value in self.entries if (name, holder) == (key, pid)]
        assert updated == (((old[0], "more"), old[0]) if old else None)
        self.entries = [
            (name, holder, (value, "more") if (name, holder) == (key, pid) else value)
            for name, holder, value in self.entries
        ]

    @invariant()
    def the_registry_knows_what_the_model_knows(self) -> None:
        if not hasattr(self, "registry"):
            return

        async def look() -> None:
            def same(found: list[object], expected: list[object]) -> None:
                assert sorted(found, key=repr) == sorted(expected, key=repr)

            same(list(registry.select("names")), list(self.entries))
            assert registry.count("names") == len(self.entries)
            for key in ("lamp", "desk", ("sofa", 1), None):
                entries = [(pid, value) for name, pid, value in self.entries if name == key]
                same(list(registry.lookup("names", key)), list(entries))
                if self.unique:
                    assert process.whereis(registry.via("names", key)) == (entries[0][0] if entries else None)
            cell = self.runtime.cell(self.registry)
            assert isinstance(cell, ServerCell)
            assert isinstance(cell.server, Registry)
            assert cell.links == cell.server._watches.keys() == {pid for _, pid, _ in self.entries}
            for pid in self.alive:
                mine = [(name, value) for name, holder, value in self.entries if holder == pid]
                same(list(registry.keys("names", pid)), [name for name, _ in mine])
                for name, _ in mine:
                    assert registry.values("names", name, pid) == [value for key, value in mine if key == name]
            await settle()
            assert await gen_server.request(self.listener, "events") == self.events

        self.go(look())


RegistryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRegistry = RegistryMachine.TestCase
