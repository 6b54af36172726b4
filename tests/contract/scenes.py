"""What every behaviour must do wherever it runs: each scene is played in a process and returns what it saw."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from raybeam.actors import (
    CallEvent,
    CallFailed,
    ChildSpec,
    Completed,
    DynamicSpec,
    DynamicSupervisor,
    Emit,
    EventHandler,
    ExitMessage,
    From,
    GenEvent,
    GenServer,
    GenStage,
    GenStatem,
    KeepState,
    NextState,
    Pid,
    ProducerConsumer,
    Registry,
    Reply,
    ReplyTo,
    StartError,
    StateEvent,
    StateResult,
    StateTimeout,
    StateTimeoutEvent,
    Stop,
    SubscribeTo,
    Subscription,
    Supervisor,
    SupervisorSpec,
    TaskSupervisor,
    call,
    dynamic_supervisor,
    gen_event,
    gen_server,
    gen_stage,
    gen_statem,
    pg,
    process,
    registry,
    supervisor,
    task_supervisor,
)
from raybeam.cluster import Global, global_names


class Counter(GenServer):
    async def init(self, total: int = 0) -> None:
        self.total = total

    @call
    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total

    @call
    def add_in_a_thread(self, amount: int) -> int:
        self.total += amount
        return self.total

    @call
    async def crash(self) -> None:
        raise RuntimeError("boom")

    async def handle_call(self, request: object, sender: From) -> Reply | Stop:
        return Stop("done", "bye") if request == "end" else Reply(("echo", request))

    async def terminate(self, reason: object) -> None:
        self.total = -1


async def gen_server_scene() -> list[object]:
    """Calls, a crash with its reason, a stop with a reply, a thread."""
    pid = await gen_server.start(Counter, 5)
    counter = gen_server.ref(Counter, pid)
    seen: list[object] = [await counter.add(1), await counter.add_in_a_thread(2), await gen_server.request(pid, "x")]
    try:
        await counter.crash()
    except CallFailed as failed:
        seen.append(str(failed.cause))
    other = await gen_server.start(Counter)
    return [*seen, await gen_server.request(other, "end"), process.is_alive(other)]


class Door(GenStatem):
    async def init(self) -> NextState:
        return NextState("shut")

    async def shut(self, event: StateEvent) -> StateResult:
        match event:
            case CallEvent("open", sender):
                return NextState("opened", [ReplyTo(sender, "creak"), StateTimeout(0.05)])
        return KeepState()

    async def opened(self, event: StateEvent) -> StateResult:
        match event:
            case StateTimeoutEvent():
                return NextState("shut")
            case CallEvent(_, sender):
                return KeepState(ReplyTo(sender, "open already"))
        return KeepState()


async def gen_statem_scene() -> list[object]:
    """States, replies and a state time-out."""
    door = await gen_statem.start(Door)
    seen: list[object] = [await gen_server.request(door, "open"), await gen_server.request(door, "open")]
    await asyncio.sleep(0.3)
    return [*seen, await gen_server.request(door, "open")]


class Tally(EventHandler):
    async def init(self, start: object) -> None:
        self.total = start if isinstance(start, int) else 0

    async def handle_event(self, event: object) -> None:
        assert isinstance(event, int)
        self.total += event

    async def handle_call(self, request: object) -> Reply:
        return Reply(self.total)


async def gen_event_scene() -> list[object]:
    """Handlers added, notified, failing alone."""
    manager = await gen_event.start(GenEvent)
    await gen_event.add_handler(manager, Tally, 10)
    await gen_event.sync_notify(manager, 5)
    seen: list[object] = [await gen_event.call(manager, Tally, "total")]
    await gen_event.sync_notify(manager, "not a number")
    return [*seen, await gen_event.which_handlers(manager)]


class Shop(Supervisor):
    async def init(self) -> SupervisorSpec:
        children = [ChildSpec(name, (Counter, start)) for name, start in (("a", 1), ("b", 2))]
        return SupervisorSpec(children, strategy="one_for_all", intensity=1, period_s=60)


async def supervisor_scene() -> list[object]:
    """A group restart with clean state, then giving up, seen through a link."""
    process.trap_exit(True)
    shop = await supervisor.start_link(Shop)

    async def child(id: object) -> Pid:
        found = [info.child for info in await supervisor.which_children(shop) if info.id == id]
        assert isinstance(found[0], Pid)
        return found[0]

    before = await child("a"), await child("b")
    await gen_server.ref(Counter, before[0]).add(10)
    process.exit_process(before[1], "kill")
    after = await child("a"), await child("b")
    seen: list[object] = [before[0] != after[0], await gen_server.ref(Counter, after[0]).add(0)]
    process.exit_process(after[0], "kill")
    message = await process.receive(timeout_s=5)
    assert isinstance(message, ExitMessage)
    return [*seen, message.pid == shop, message.reason]


async def dynamic_supervisor_scene() -> list[object]:
    """Children come and go."""
    pool = await gen_server.start(DynamicSupervisor, DynamicSpec(max_children=2))
    first = await dynamic_supervisor.start_child(pool, ChildSpec("one", (Counter, 1)))
    await dynamic_supervisor.start_child(pool, ChildSpec("two", (Counter, 2), restart="temporary"))
    assert first.pid is not None
    await dynamic_supervisor.terminate_child(pool, first.pid)
    counts = await dynamic_supervisor.count_children(pool)
    return [counts.specs, counts.active, process.is_alive(first.pid)]


async def square(number: int) -> int:
    await asyncio.sleep(0.01 / (number + 1))
    return number * number


async def task_supervisor_scene() -> list[object]:
    """Tasks and an ordered stream."""
    tasks = await gen_server.start(TaskSupervisor)
    task = await task_supervisor.async_(tasks, square, 7)
    seen: list[object] = [await task.result()]
    async for outcome in task_supervisor.async_stream(tasks, range(4), square, max_concurrency=2):
        assert isinstance(outcome, Completed)
        seen.append(outcome.value)
    return seen


async def registry_scene() -> list[object]:
    """Keys vanish with their processes, and serve as names."""
    await gen_server.start(Registry, name="ids")
    pid = await gen_server.start(Counter, 3, name=registry.via("ids", "counter"))
    seen: list[object] = [await gen_server.request(registry.via("ids", "counter"), 1)]
    process.exit_process(pid, "kill")
    await process.wait_exit(pid)
    return [*seen, registry.lookup("ids", "counter")]


async def pg_scene() -> list[object]:
    """Groups, and a monitor."""
    await pg.start("scene")
    pid = await gen_server.start(Counter)
    await pg.join("group", [pid, pid], scope="scene")
    before = pg.get_members("group", scope="scene")
    process.exit_process(pid, "kill")
    await process.wait_exit(pid)
    await gen_server.get_state("scene")
    return [before == [pid, pid], pg.get_members("group", scope="scene")]


async def global_names_scene() -> list[object]:
    """One process of the system has a name, until it ends."""
    with contextlib.suppress(StartError):  # a replica has them already
        await global_names.start()
    pid = await gen_server.start(Counter, 5, name=Global("scene"))
    seen: list[object] = [await gen_server.ref(Counter, Global("scene")).add(1)]
    other = await gen_server.start(Counter)
    seen.append(await global_names.register_name("scene", other))
    process.exit_process(pid, "kill")
    await process.wait_exit(pid)
    seen.append(global_names.whereis_name("scene"))
    seen.append(await global_names.register_name("scene", other))
    await global_names.unregister_name("scene")
    return [*seen, "scene" in global_names.registered_names(), process.is_alive(other)]


class Squares(GenStage):
    async def init(self, numbers: Pid) -> ProducerConsumer:
        return ProducerConsumer(subscribe_to=[SubscribeTo(numbers, max_demand=4)])

    async def handle_events(self, events: list[int], subscription: Subscription) -> Emit:
        return Emit(number * number for number in events)


async def gen_stage_scene() -> list[object]:
    """A pipeline that ends with its source, read by the code outside it, and one that fails."""
    squares = await gen_stage.start(Squares, await gen_stage.from_iterable(range(10)))
    seen: list[object] = [number async for number in gen_stage.stream(squares, max_demand=2)]
    failing = await gen_stage.start(Squares, await gen_stage.from_iterable([2, "two"]))
    try:
        async for number in gen_stage.stream(failing):
            seen.append(number)
    except CallFailed as failed:
        seen.append(type(failed).__name__)
    return seen


Scene = Callable[[], Awaitable[list[object]]]
SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        gen_server_scene,
        gen_statem_scene,
        gen_event_scene,
        supervisor_scene,
        dynamic_supervisor_scene,
        task_supervisor_scene,
        gen_stage_scene,
        registry_scene,
        pg_scene,
        global_names_scene,
    )
}


async def play(name: str) -> list[object]:
    """Play a scene in a process of its own."""
    outcome: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()

    async def body() -> None:
        try:
            outcome.set_result(await SCENES[name]())
        except Exception as error:  # noqa: BLE001 (the test judges)
            outcome.set_exception(error)

    process.spawn(body)
    return await outcome
