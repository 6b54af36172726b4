"""Systems on real Ray: calls, restarts, placement, the root, and that nothing is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
import ray

from raybeam.actors import BlueprintError, CallFailed, ClusterError, Disconnected, InvalidArgumentsError, UsageError
from raybeam.cluster import System
from raybeam.cluster.local import LocalCluster
from raybeam.cluster.names import NAMESPACE, root_name
from tests.ray.conftest import actors_of, groups_of, living_actors, wait_until
from tests.ray.services import Broken, Caller, Counter, Refused, Short, Slow

QUICK = {
    "health": {"beat_s": 0.3, "unknown_after_s": 1.0, "down_after_s": 3.0},
    "driver_timeout_s": 4.0,
    "orphan_timeout_s": 20.0,
}
LEASE_S = 6.0
SHORT_LEASES = QUICK | {"orphan_timeout_s": LEASE_S}


def blueprint(name: str, **families: object) -> dict[str, object]:
    return {"name": name, "families": families, **QUICK}


@pytest.fixture
def counters(cluster: LocalCluster) -> Iterator[System]:
    """A system with three counters."""
    with System.start(blueprint("counters", counter={"service": Counter, "replicas": 3})) as system:
        yield system


def test_calls_work_from_a_script_and_from_an_event_loop(cluster: LocalCluster) -> None:
    families: dict[str, object] = {"counter": {"service": Counter, "args": (10,), "pattern": "singleton"}}
    with System.start(blueprint("calls", **families)) as system:
        counter = system.ref(Counter)

        async def inside() -> tuple[int, list[int]]:
            await counter.note(5)
            return await counter.add(1), await asyncio.gather(*(counter.read() for _ in range(500)))

        assert counter.add.sync(2) == 12
        assert asyncio.run(inside()) == (18, [18] * 500)
        with pytest.raises(Refused, match="-1 is below 0"):
            counter.add.sync(-1)
        with pytest.raises(InvalidArgumentsError, match="amount"):
            counter.add.sync("many")  # type: ignore[arg-type]
        with pytest.raises(BlueprintError, match="no family runs Caller"):
            system.ref(Caller)
        with pytest.raises(UsageError, match="runs already"):
            System.start(blueprint("calls", **families))
        with System.connect("calls") as other:
            assert other.ref(Counter).read.sync() == 18
        assert counter.read.sync() == 18


def test_a_stopped_system_leaves_no_actor_and_no_placement_group(cluster: LocalCluster) -> None:
    system = System.start(blueprint("gone", counter={"service": Counter, "replicas": 2}))
    assert len(actors_of("gone")) == 3
    assert groups_of("gone") == ["gone/counter"]

    system.stop()
    system.stop()

    assert actors_of("gone") == []
    wait_until(lambda: groups_of("gone") == [])
    with pytest.raises(UsageError, match="no system named 'gone'"):
        System.connect("gone")


def test_replicas_run_on_machines_of_their_own_under_their_names(counters: System) -> None:
    replicas = counters.status().families["counter"].replicas
    actors = living_actors()

    assert len({replica.machine for replica in replicas}) == 3
    assert [replica.name for replica in replicas] == [f"counters/counter/{index}#1" for index in range(3)]
    assert {actors[replica.name]["ActorClassName"] for replica in replicas} == {"counter"}


def test_a_killed_replica_is_replaced_while_queries_go_on(counters: System) -> None:
    counter = counters.ref(Counter)
    name, pid = counter.where.sync()

    os.kill(pid, signal.SIGKILL)
    answers = [counter.where.sync() for _ in range(50)]

    assert pid not in {other for _, other in answers}
    again = name.replace("#1", "#2")
    wait_until(lambda: again in {replica.name for replica in counters.status().families["counter"].replicas})
    assert counters.status().families["counter"].restarts == 1
    assert any(occurred.kind == "down" and occurred.subject == name for occurred in counters.status().occurrences)


def test_a_call_under_way_at_a_killed_replica_fails_as_unknown(cluster: LocalCluster) -> None:
    family = {"service": Counter, "pattern": "singleton"}
    with System.start(blueprint("cut", counter=family)) as system:
        counter = system.ref(Counter)

        async def main() -> None:
            _, pid = await counter.where()
            blocked = [asyncio.ensure_future(counter.block(30.0)) for _ in range(3)]
            while system.status().families["counter"].depth < 3:
                await asyncio.sleep(0.05)
            os.kill(pid, signal.SIGKILL)
            failures = await asyncio.gather(*blocked, return_exceptions=True)
            assert [type(failure) for failure in failures] == [Disconnected] * 3

        asyncio.run(main())


def test_a_query_that_crashes_its_process_is_not_asked_again(cluster: LocalCluster) -> None:
    with System.start(blueprint("poison", counter={"service": Counter, "process_restarts": 1})) as system:
        counter = system.ref(Counter)

        with pytest.raises(CallFailed, match="ZeroDivisionError") as failed:
            counter.ratio.sync(0)

        assert type(failed.value) is CallFailed
        assert counter.ratio.sync(5) == 0
        assert system.status().families["counter"].restarts == 0


def test_a_transient_service_that_ends_by_itself_is_not_replaced(cluster: LocalCluster) -> None:
    families: dict[str, object] = {
        "short": {"service": Short, "restart": "transient"},
        "counter": {"service": Counter},
    }
    with System.start(blueprint("ending", **families)) as system:
        short = system.ref(Short)
        with pytest.raises(CallFailed, match="RuntimeError: boom"):
            short.crash.sync()
        assert short.finish.sync() == "done"

        wait_until(lambda: system.status().families["short"].replicas == ())
        last = [occurred for occurred in system.status().occurrences if occurred.subject.startswith("ending/short")][-1]
        assert (last.kind, last.text) == ("down", "ended")
        assert system.status().failed is None
        assert system.status().families["short"].restarts == 0


def test_a_service_may_take_longer_to_start_than_a_lease_lasts(cluster: LocalCluster) -> None:
    families = {"slow": {"service": Slow, "args": (LEASE_S + 2.0,)}}
    with System.start({"name": "slow", "families": families, **SHORT_LEASES}) as system:
        assert system.ref(Slow).incarnation.sync() == "slow/slow/0#1"


def test_a_crashed_process_is_restarted_inside_its_replica(cluster: LocalCluster) -> None:
    with System.start(blueprint("crash", counter={"service": Counter, "args": (7,)})) as system:
        counter = system.ref(Counter)
        before = counter.where.sync()
        counter.add.sync(1)

        with pytest.raises(CallFailed, match="RuntimeError: boom"):
            counter.crash.sync()

        assert counter.where.sync() == before
        assert counter.read.sync() == 7


def test_a_replica_whose_process_keeps_crashing_is_replaced(cluster: LocalCluster) -> None:
    with System.start(blueprint("loop", counter={"service": Counter, "process_restarts": 1})) as system:
        counter = system.ref(Counter)
        first, _ = counter.where.sync()
        for _ in range(2):
            with pytest.raises(CallFailed):
                counter.crash.sync()

        wait_until(lambda: system.status().families["counter"].restarts == 1)
        assert counter.where.sync()[0] == first.replace("#1", "#2")


def test_a_service_that_cannot_start_is_told_and_leaves_nothing(cluster: LocalCluster) -> None:
    family = {"service": Broken, "max_restarts": 1}
    with pytest.raises(ClusterError, match="no licence"):
        System.start({**blueprint("broken", broken=family), "max_restarts": 0})

    wait_until(lambda: actors_of("broken") == [])
    wait_until(lambda: groups_of("broken") == [])


def test_families_call_those_that_the_blueprint_allows(cluster: LocalCluster) -> None:
    families: dict[str, object] = {
        "counter": {"service": Counter, "pattern": "singleton"},
        "caller": {"service": Caller, "calls": ["counter"]},
        "idle": {"service": Caller},
    }
    with System.start(blueprint("peers", **families)) as system:
        caller = system.ref(Caller, "caller")

        assert caller.add_there.sync(3) == 3
        assert "no family runs Broken" in caller.reach_stranger.sync()
        assert caller.crash_there.sync() == "RuntimeError: boom"
        assert "name the families to call in `calls:`" in system.ref(Caller, "idle").reach_stranger.sync()
        with pytest.raises(BlueprintError, match="several families"):
            system.ref(Caller)


def test_a_killed_root_comes_back_and_adopts_the_living_replicas(counters: System) -> None:
    counter = counters.ref(Counter)
    before = {replica.name for replica in counters.status().families["counter"].replicas}
    os.kill(living_actors()[root_name("counters")]["Pid"], signal.SIGKILL)
    names = {counter.where.sync()[0] for _ in range(100)}

    assert names <= before

    def is_back() -> bool:
        try:
            status = counters.status()
        except ClusterError:
            return False
        return {replica.name for replica in status.families["counter"].replicas} == before

    wait_until(is_back, within_s=60)
    assert counter.add.sync(1) >= 1


def test_the_replicas_of_a_lost_machine_move_and_count_as_one_restart(cluster: LocalCluster) -> None:
    family = {"service": Counter, "replicas": 6, "max_restarts": 1}
    with System.start({**blueprint("moved", counter=family), "max_restarts": 0}) as system:
        before = {replica.name: replica.machine for replica in system.status().families["counter"].replicas}

        cluster.kill_machine(1)
        try:
            wait_until(lambda: system.status().families["counter"].restarts == 2, within_s=60)
        finally:
            cluster.add_machine()

        after = {replica.name: replica.machine for replica in system.status().families["counter"].replicas}
        assert len(after.keys() & before.keys()) == 4
        assert system.status().failed is None
        assert system.ref(Counter).add.sync(1) >= 1


DRIVER = textwrap.dedent(
    """
    import sys
    from raybeam.cluster import System
    from raybeam.cluster.local import connect, Connection
    from tests.ray.services import Counter
    from tests.ray.test_system import SHORT_LEASES
    with connect(Connection(sys.argv[1], sys.argv[2])):
        system = System.start(
            {"name": sys.argv[3], "families": {"counter": {"service": Counter, "replicas": 2}}, **SHORT_LEASES},
            detached=sys.argv[4] == "detached",
        )
        print("up", flush=True)
        sys.stdin.read()
    """
)


def killed_driver(cluster: LocalCluster, name: str, kind: str) -> None:
    """Start a system from another process and kill that with SIGKILL."""
    connection = cluster.connection
    arguments = [connection.address, str(connection.node_address), name, kind]
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    assert driver.stdin is not None
    assert driver.stdout.readline() == "up\n"
    driver.kill()
    driver.wait()
    driver.stdout.close()
    driver.stdin.close()


def test_a_system_whose_driver_is_killed_ends_by_its_lease(cluster: LocalCluster) -> None:
    killed_driver(cluster, "orphan", "attached")

    wait_until(lambda: actors_of("orphan") == [], within_s=40)
    wait_until(lambda: groups_of("orphan") == [])


def test_a_detached_system_goes_on_without_its_driver(cluster: LocalCluster) -> None:
    killed_driver(cluster, "detached", "detached")

    with System.connect("detached") as system:
        assert system.ref(Counter).add.sync(1) == 1
        system.stop()
    assert actors_of("detached") == []


def test_a_killed_root_comes_back_though_nobody_calls_it(cluster: LocalCluster) -> None:
    killed_driver(cluster, "quiet", "detached")
    before = {name: actor["ActorID"] for name, actor in living_actors().items() if name.startswith("quiet/counter/")}
    root = living_actors()[root_name("quiet")]["Pid"]

    os.kill(root, signal.SIGKILL)
    wait_until(lambda: living_actors().get(root_name("quiet"), {"Pid": root})["Pid"] != root)
    time.sleep(LEASE_S + 2.0)  # nobody may call meanwhile

    after = {name: actor["ActorID"] for name, actor in living_actors().items() if name.startswith("quiet/counter/")}
    assert after == before
    with System.connect("quiet") as system:
        assert {replica.name for replica in system.status().families["counter"].replicas} == before.keys()
        system.stop()


def test_the_name_of_a_lost_replica_is_not_used_again_by_a_restarted_root(cluster: LocalCluster) -> None:
    with System.start(blueprint("renamed", counter={"service": Counter})) as system:
        actors = living_actors()
        os.kill(actors[root_name("renamed")]["Pid"], signal.SIGKILL)
        os.kill(actors["renamed/counter/0#1"]["Pid"], signal.SIGKILL)

        wait_until(lambda: bool(system.status().families["counter"].replicas))
        assert [replica.name for replica in system.status().families["counter"].replicas] == ["renamed/counter/0#2"]


def test_replicas_without_a_root_end_by_their_leases(cluster: LocalCluster) -> None:
    families = {"counter": {"service": Counter, "replicas": 2}}
    system = System.start({"name": "rootless", "families": families, **SHORT_LEASES})
    system.close()

    ray.kill(ray.get_actor(root_name("rootless"), NAMESPACE))

    wait_until(lambda: actors_of("rootless") == [], within_s=40)
    wait_until(lambda: groups_of("rootless") == [])


def test_who_waits_in_another_thread_is_let_go_when_the_handle_is_closed(counters: System) -> None:
    counter = counters.ref(Counter)
    told: list[BaseException] = []

    def ask_for_ever() -> None:
        try:
            while True:
                counter.block.sync(0.2)
        except (CallFailed, UsageError) as error:
            told.append(error)

    asking = threading.Thread(target=ask_for_ever)
    asking.start()
    wait_until(lambda: counters.status().families["counter"].depth > 0)
    counters.close()
    counters.close()
    asking.join(timeout=10)

    assert not asking.is_alive()
    assert len(told) == 1
    with pytest.raises(UsageError, match="is closed"):
        counter.read.sync()


AFTERWARDS = textwrap.dedent(
    """
    import asyncio, sys, ray
    from raybeam.cluster import System
    from raybeam.cluster.local import connect, Connection
    from tests.ray.services import Counter

    async def main():
        with connect(Connection(sys.argv[1], sys.argv[2])):
            system = System.start({"name": "after", "families": {"counter": {"service": Counter}}})
            await system.ref(Counter).add(1)
            left_open = System.connect("after")
            await left_open.ref(Counter).add(1)
            system.stop()
        await asyncio.sleep(1.5)
        print("joined again" if ray.is_initialized() else "left")

    asyncio.run(main())
    """
)


def test_a_program_that_has_left_the_cluster_does_not_join_one_again(cluster: LocalCluster) -> None:
    connection = cluster.connection
    ran = subprocess.run(
        [sys.executable, "-c", AFTERWARDS, connection.address, str(connection.node_address)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.stdout == "left\n", ran.stderr


def test_replicas_that_find_no_machine_are_named(cluster: LocalCluster) -> None:
    family = {"service": Counter, "replicas": 5, "spread": "strict_spread", "start_timeout_s": 30.0}

    with pytest.raises(ClusterError, match=r"after 3\.0 s these replicas are not up: counter/0"):
        System.start(blueprint("wide", counter=family), timeout_s=3.0)

    assert actors_of("wide") == []


def test_arguments_that_cannot_be_sent_are_told(cluster: LocalCluster) -> None:
    with pytest.raises(BlueprintError, match="cannot be sent to the cluster"):
        System.start(blueprint("unsent", counter={"service": Counter, "args": (threading.Lock(),)}))


def test_callers_are_told_when_a_system_gives_up(cluster: LocalCluster) -> None:
    quick = {"service": Counter, "process_restarts": 0, "max_restarts": 0}
    system = System.start({**blueprint("weak", counter=quick), "max_restarts": 0})
    try:
        counter = system.ref(Counter)
        with pytest.raises(CallFailed, match="boom"):
            counter.crash.sync()

        def ask_for_ever() -> None:
            while True:
                counter.read.sync()

        with pytest.raises(ClusterError, match="has given up: its families keep failing"):
            ask_for_ever()
    finally:
        system.stop()
    with System.start(blueprint("weak", counter={"service": Counter})) as again:
        assert again.ref(Counter).read.sync() == 0


def test_a_blocking_handler_calls_a_peer(cluster: LocalCluster) -> None:
    families: dict[str, object] = {
        "counter": {"service": Counter, "pattern": "singleton"},
        "caller": {"service": Caller, "calls": ["counter"]},
    }
    with System.start(blueprint("blocking", **families)) as system:
        assert system.ref(Caller).add_there_blocking.sync(4) == 4


def test_without_ray_the_mend_is_told() -> None:
    code = "from raybeam.cluster import System; System.connect('x')"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "no Ray here: call ray.init(), or start machines" in tried.stderr
