"""Local machines: they come, are found, are lost and end, and no other process with them."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from raybeam.actors import ClusterError, UsageError
from raybeam.cluster.ray_up.processes import MACHINE_VARIABLE, end_processes_of, processes_of
from raybeam.cluster.ray_up.provider import LocalMachines

from .machines import HEAD, UP, WORKER, brought_up, made, raylet_in, section


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: Ray's sockets are in it."""
    made_folder = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
    yield made_folder
    assert end_processes_of(str(made_folder)) == []
    shutil.rmtree(made_folder)


@pytest.fixture
def raylet(tmp_path: Path) -> Path:
    return raylet_in(tmp_path)


@pytest.fixture
def provider(folder: Path) -> LocalMachines:
    return LocalMachines(section(folder), "c")


def another(provider: LocalMachines) -> LocalMachines:
    """What another process would have."""
    return LocalMachines(provider.provider_config, "c")


def pids(provider: LocalMachines, node: str) -> list[int]:
    return [process.pid for process in processes_of(str(provider.home(node)))]


def test_without_a_cluster_there_is_nothing_and_nothing_is_made(provider: LocalMachines, folder: Path) -> None:
    assert provider.non_terminated_nodes({}) == []
    assert provider.nodes_for_teardown({}) == []
    provider.terminate_nodes(["c-1"])
    provider.cleanup_cluster_resources()
    assert list(folder.iterdir()) == []


def test_every_provider_sees_the_machines_with_their_addresses_and_tags(provider: LocalMachines) -> None:
    [head] = made(provider, HEAD)
    workers = made(provider, WORKER | {"size": "small"}, 2)
    other = another(provider)

    assert other.non_terminated_nodes({}) == [head, *workers]
    assert other.non_terminated_nodes({"size": "small"}) == workers
    assert [other.internal_ip(node) for node in (head, *workers)] == ["127.0.77.1", "127.0.77.2", "127.0.77.3"]
    assert other.external_ip(head) == other.internal_ip(head)
    assert other.get_node_id("127.0.77.3", use_internal_ip=True) == workers[1]
    assert other.is_running(head)
    assert not other.is_terminated(head)
    other.set_node_tags(head, {"color": "blue"})
    assert provider.node_tags(head) == HEAD | {"color": "blue"}


def test_the_end_of_a_machine_is_that_of_its_processes_and_of_no_others(provider: LocalMachines, raylet: Path) -> None:
    [head] = made(provider, HEAD)
    ending, staying = made(provider, WORKER, 2)
    for node in (head, ending, staying):
        brought_up(provider, node, raylet)
    bystander = subprocess.Popen([raylet, "300"])
    before = pids(provider, head) + pids(provider, staying)

    provider.terminate_node(ending)
    provider.terminate_node(ending)

    assert pids(provider, ending) == []
    assert pids(provider, head) + pids(provider, staying) == before
    assert bystander.poll() is None
    assert another(provider).non_terminated_nodes({}) == [head, staying]
    assert provider.is_terminated(ending)
    assert not provider.home(ending).exists()
    bystander.kill()
    bystander.wait()


def test_what_a_process_of_a_machine_started_ends_with_the_machine(provider: LocalMachines) -> None:
    [head] = made(provider, HEAD)
    runner = provider.get_command_runner("", head)
    deep = "sleep 300 & setsid sleep 301 & echo > ready; wait"
    runner.run(f"setsid bash -c '{deep}' >/dev/null 2>&1 & until [ -e ready ]; do sleep 0.02; done")
    assert len(pids(provider, head)) >= 3

    provider.terminate_node(head)

    assert pids(provider, head) == []


def test_a_crashed_machine_is_gone_and_its_logs_stay(provider: LocalMachines, raylet: Path) -> None:
    [head] = made(provider, HEAD)
    crashed, living = made(provider, WORKER, 2)
    for node in (head, crashed, living):
        brought_up(provider, node, raylet)
    provider.get_command_runner("", crashed).run("echo why > log; setsid sleep 300 >/dev/null 2>&1 &")
    while processes := processes_of(str(provider.home(crashed)), "raylet"):
        for process in processes:
            process.kill()

    assert another(provider).non_terminated_nodes({}) == [head, living]

    assert pids(provider, crashed) == []
    assert provider.is_terminated(crashed)
    assert (provider.home(crashed) / "log").read_text() == "why\n"


BROKEN_OFF = textwrap.dedent(
    """
    import json, sys
    from raybeam.cluster.ray_up.provider import LocalMachines
    provider = LocalMachines(json.loads(sys.argv[1]), "c")
    [node] = provider.create_node({}, json.loads(sys.argv[2]), 1)
    print("made", node, flush=True)
    provider.get_command_runner("", node).run("sleep 300")
    """
)


def test_a_machine_whose_setup_was_killed_is_gone_with_what_was_begun(provider: LocalMachines) -> None:
    setup = subprocess.Popen(
        [sys.executable, "-c", BROKEN_OFF, json.dumps(provider.provider_config), json.dumps(HEAD)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert setup.stdout is not None
    node = next(line for line in setup.stdout if line.startswith("made")).split()[1]
    assert provider.non_terminated_nodes({}) == [node]
    setup.kill()
    setup.wait()
    setup.stdout.close()

    assert provider.non_terminated_nodes({}) == []

    assert pids(provider, node) == []
    [head] = made(provider, HEAD)
    assert provider.non_terminated_nodes({}) == [head] != [node]


def test_a_new_head_ends_what_an_old_one_has_left(provider: LocalMachines, raylet: Path) -> None:
    [head] = made(provider, HEAD)
    [worker] = made(provider, WORKER)
    brought_up(provider, worker, raylet)

    [new] = made(another(provider), HEAD)

    assert provider.non_terminated_nodes({}) == [new]
    assert pids(provider, worker) == []
    assert new != head


def test_a_table_from_before_a_restart_of_the_computer_has_no_machines(provider: LocalMachines) -> None:
    made(provider, HEAD)
    [worker] = made(provider, WORKER)
    provider.set_node_tags(worker, UP)
    file = provider.folder / "machines.json"
    table = json.loads(file.read_text())
    for machine in table["machines"]:
        machine["installer"]["started"] -= 100_000.0  # the number is another process's now
    file.write_text(json.dumps(table))

    assert another(provider).non_terminated_nodes({}) == []


def test_a_table_that_cannot_be_read_is_told(provider: LocalMachines) -> None:
    made(provider, HEAD)
    (provider.folder / "machines.json").write_text('{"machines": 1}')

    with pytest.raises(ClusterError, match=r"machines.json cannot be read .*then remove that folder"):
        provider.non_terminated_nodes({})


def test_nothing_starts_on_a_machine_that_has_ended(provider: LocalMachines) -> None:
    [head] = made(provider, HEAD)
    runner = provider.get_command_runner("", head)
    provider.terminate_node(head)

    with pytest.raises(ClusterError, match="the machine c-1 has ended"):
        runner.run("sleep 300")
    with pytest.raises(ClusterError, match="has ended"):
        provider.set_node_tags(head, UP)


def test_a_machine_can_end_while_a_command_runs_on_it(provider: LocalMachines) -> None:
    [head] = made(provider, HEAD)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            provider.get_command_runner("", head).run("echo > begun; sleep 300")
        except Exception as error:  # noqa: BLE001 (looked at below)
            failed.append(error)

    command = threading.Thread(target=run)
    command.start()
    while not (provider.home(head) / "begun").exists():
        assert command.is_alive()
    provider.terminate_node(head)
    command.join(timeout=30)

    assert "of: echo > begun" in str(failed[0])
    assert pids(provider, head) == []


def test_machines_made_at_once_by_many_are_all_there(provider: LocalMachines) -> None:
    made(provider, HEAD)
    makers = [threading.Thread(target=made, args=(another(provider), WORKER, 2)) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()

    nodes = provider.non_terminated_nodes({})
    assert len(nodes) == len({provider.internal_ip(node) for node in nodes}) == 17


def test_the_machine_that_runs_this_is_not_ended_by_it(
    provider: LocalMachines, raylet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [head] = made(provider, HEAD)
    provider.set_node_tags(head, UP)
    monkeypatch.setenv(MACHINE_VARIABLE, str(provider.home(head)))

    assert provider.non_terminated_nodes({}) == [head]


def test_clusters_of_other_names_do_not_meet(provider: LocalMachines, folder: Path, raylet: Path) -> None:
    longer = LocalMachines(section(folder), "c-2")
    [head], [other] = made(provider, HEAD), made(longer, HEAD)
    brought_up(provider, head, raylet)
    brought_up(longer, other, raylet)

    provider.terminate_nodes(provider.nodes_for_teardown({}))
    provider.cleanup_cluster_resources()

    assert longer.non_terminated_nodes({}) == [other]
    assert len(pids(longer, other)) == 1
    assert (longer.folder / "auth_token").exists()
    assert not provider.folder.exists()


@pytest.mark.parametrize("name", ["port", "dashboard_port", "client_port"])
def test_a_port_that_is_taken_is_told_with_its_field(name: str, provider: LocalMachines) -> None:
    port = getattr(provider.options, name)
    with socket.socket() as taken:
        taken.bind(("127.0.77.1", port))
        taken.listen()
        with pytest.raises(click.ClickException, match=rf"provider.{name}={port} is in use on 127.0.77.1: name"):
            made(provider, HEAD)

    assert provider.non_terminated_nodes({}) == []


def test_the_token_is_made_once_and_for_this_user_alone(provider: LocalMachines) -> None:
    made(provider, HEAD)
    token = provider.folder / "auth_token"
    first = token.read_text()
    made(provider, HEAD)

    assert token.read_text() == first
    assert len(first) == 64
    for path in (token, provider.folder / "env", provider.folder):
        assert path.stat().st_mode & 0o077 == 0
    assert first not in (provider.folder / "env").read_text()


def test_a_folder_that_is_open_to_others_is_refused(provider: LocalMachines) -> None:
    provider.folder.mkdir()
    provider.folder.chmod(0o755)

    with pytest.raises(click.ClickException, match="is open to others: chmod 700"):
        made(provider, HEAD)


def test_the_file_to_source_lets_a_shell_in(provider: LocalMachines) -> None:
    made(provider, HEAD)
    shown = subprocess.run(
        ["bash", "-c", f". {provider.folder}/env; env"], capture_output=True, text=True, check=True
    ).stdout.splitlines()

    options = provider.options
    assert f"RAY_API_SERVER_ADDRESS=http://127.0.77.1:{options.dashboard_port}" in shown
    assert f"RAY_ADDRESS=127.0.77.1:{options.port}" in shown
    assert f"RAY_AUTH_TOKEN_PATH={provider.folder}/auth_token" in shown
    assert "RAY_AUTH_MODE=token" in shown


def test_ray_down_leaves_nothing(provider: LocalMachines, folder: Path, raylet: Path) -> None:
    nodes = made(provider, HEAD) + made(provider, WORKER, 2)
    for node in nodes:
        brought_up(provider, node, raylet)
    down = another(provider)

    assert sorted(down.nodes_for_teardown({})) == sorted(nodes)
    down.terminate_nodes(nodes)
    assert down.nodes_for_teardown({}) == []
    down.cleanup_cluster_resources()

    assert processes_of(str(folder)) == []
    assert list(folder.iterdir()) == []


def test_the_stop_of_a_machine_ends_its_processes_but_not_the_command(provider: LocalMachines, raylet: Path) -> None:
    [head] = made(provider, HEAD)
    worker, other = made(provider, WORKER, 2)
    for node in (head, worker, other):
        brought_up(provider, node, raylet)

    assert provider.get_command_runner("", worker).run("ray stop && echo went on", with_output=True) == "went on\n"
    assert pids(provider, worker) == []
    assert len(pids(provider, other)) == len(pids(provider, head)) == 1
    provider.get_command_runner("", head).run("ray stop")
    assert pids(provider, other) == pids(provider, head) == []


def test_an_unknown_machine_is_told(provider: LocalMachines) -> None:
    made(provider, HEAD)

    with pytest.raises(ClusterError, match="'d-1' is no machine of 'c'"):
        provider.node_tags("d-1")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"network": "10.0.0"}, "provider.network='10.0.0': three parts of a loopback address"),
        ({"network": "127.0.999"}, "three parts of a loopback address"),
        ({"network": 127.0}, "provider.network=127.0: a text in quotes is wanted"),
        ({"port": 0}, "provider.port=0: a port, from 1 to 65535"),
        ({"port": "6379"}, "provider.port='6379': a whole number is wanted"),
        ({"port": 7, "client_port": 7}, "port, dashboard_port, client_port must differ"),
        ({"folder": "here"}, "provider.folder='here': an absolute path"),
        ({"folder": "/tmp/my machines"}, "provider.folder='/tmp/my machines': an absolute path of letters"),
        ({"folder": f"/tmp/{'x' * 50}"}, "is too long for Ray's sockets"),
        ({"prot": 6379}, "provider.prot: no such field; did you mean 'port'?"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(folder: Path, change: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=r".") as refused:
        LocalMachines(section(folder) | change, "c")

    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cluster_name": "a/b"}, "cluster_name='a/b': letters, digits, '-' and '_'"),
        ({"cluster_synced_files": ["~/x"]}, "local machines share one disk"),
        ({"provider": {"port": -1}}, "provider.port=-1"),
    ],
)
def test_ray_up_tells_a_mistake_without_a_traceback(folder: Path, change: dict[str, object], told: str) -> None:
    config = {"cluster_name": "c", "provider": section(folder), "cluster_synced_files": []}
    with pytest.raises(click.ClickException) as refused:
        LocalMachines.bootstrap_config(config | change)

    assert told in refused.value.message
    assert LocalMachines.bootstrap_config(config) == config


def test_a_command_that_is_interrupted_is_ended(provider: LocalMachines, monkeypatch: pytest.MonkeyPatch) -> None:
    [head] = made(provider, HEAD)

    def interrupted(process: subprocess.Popen[str]) -> None:
        assert pids(provider, head) != []
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        provider.get_command_runner("", head).run("exec sleep 300")

    assert pids(provider, head) == []
