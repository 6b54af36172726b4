"""`raybeam ray-config`: files that Ray and KubeRay take, and mistakes told in one line."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config

from raybeam.cluster.cli import main
from raybeam.cluster.cluster_file import TARGETS
from tests.unit.configs.kuberay import RayCluster

SHIPPED = Path(__file__).parents[3] / "configs" / "ray"
SERVICES = """
from raybeam.actors import GenServer


class Stock(GenServer):
    async def init(self) -> None: ...


FAMILY = {"service": Stock, "cpus": 1.0}
BLUEPRINT = {
    "name": "shop",
    "families": {"stock": FAMILY | {"replicas": 3, "spread": "strict_spread"}, "prices": FAMILY | {"replicas": 6}},
}
ELASTIC = {
    "name": "fair",
    "machines": {"medium": {"resources": {"CPU": 4}, "labels": {"zone": "a"}, "max_machines": 9}},
    "families": {
        "desk": FAMILY,
        "stand": FAMILY | {
            "replicas": 2, "scaling": {"min_replicas": 2, "max_replicas": 11, "machine_labels": {"zone": "a"}}
        },
    },
}
LARGE = {"name": "large", "families": {"stock": FAMILY | {"cpus": 64.0}}}
"""
LABELLED = ["+machines.small={resources:{CPU:4,memory:8e9},labels:{zone:a}}"]
INSTANCES = {"aws": ["+instances.small=m7i.xlarge"], "gcp": ["+instances.small=e2-standard-4"]}
LOAD = ["load=100/s", "load.service.mean_s=0.1", "slo=500ms@0.99"]


@pytest.fixture(autouse=True)
def _a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the services can be imported from; Hydra's logging is undone."""
    (tmp_path / "rayconfig_services.py").write_text(SERVICES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    root, ours = logging.getLogger(), logging.getLogger("raybeam")
    before = (list(root.handlers), root.level, ours.disabled)
    yield
    for added in root.handlers:
        if added not in before[0]:
            added.close()
    root.handlers[:], ours.disabled = before[0], before[2]
    root.setLevel(before[1])


def written(target: str, *arguments: str) -> dict[str, Any]:
    """What the command writes, after it was validated as Ray or KubeRay would."""
    given = [f"target={target}", *arguments, "out=file.yaml"]
    assert main(["ray-config", *given]) == 0
    plain: dict[str, Any] = yaml.safe_load(Path("file.yaml").read_text())
    if target == "kuberay":
        RayCluster.model_validate(plain)
        plain["metadata"]["namespace"] = "default"
        derived: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(plain)
        return derived
    logging.disable(logging.WARNING)
    config: dict[str, Any] = prepare_config(plain)
    logging.disable(logging.NOTSET)
    validate_config(config)
    return config


def worker_of(config: dict[str, Any]) -> dict[str, Any]:
    [kind] = [kind for kind in config["available_node_types"].values() if kind["max_workers"]]
    assert isinstance(kind, dict)
    return kind


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_has_the_machines_of_the_blueprint(target: str) -> None:
    asked = ["blueprint=rayconfig_services:BLUEPRINT", *LABELLED, *INSTANCES.get(target, [])]
    config = written(target, *asked, "idle_timeout_s=90")
    worker = worker_of(config)

    assert config["cluster_name"] == "shop"
    assert (worker["min_workers"], worker["max_workers"]) == (3, 3)  # nine CPUs, and the stock on three machines
    assert (worker["resources"]["CPU"], worker["resources"]["memory"]) == (4, 8_000_000_000)
    assert worker["labels"] == {"zone": "a"}
    assert config["idle_timeout_minutes"] == 1.5
    assert config["max_workers"] == 3


def test_families_that_scale_count_with_their_bounds_on_the_machines_of_the_blueprint() -> None:
    worker = worker_of(written("local", "blueprint=rayconfig_services:ELASTIC"))

    assert worker["resources"]["CPU"] == 4
    assert worker["labels"] == {"zone": "a"}
    assert (worker["min_workers"], worker["max_workers"]) == (1, 3)  # three replicas at least, twelve at most


@pytest.mark.parametrize("target", TARGETS)
def test_the_machines_of_the_shipped_file_are_the_default(target: str) -> None:
    config = written(target, "blueprint=rayconfig_services:BLUEPRINT")

    shipped = (SHIPPED / f"{target}.yaml").read_text()
    assert worker_of(config)["resources"]["CPU"] == (2 if target == "local" else 4)
    ours = Path("file.yaml").read_text()
    for line in shipped.splitlines():
        if line.startswith(("#", "    export", "    ray start")) and "configs/ray" not in line and "/env" not in line:
            assert line in ours


@pytest.mark.parametrize("target", TARGETS)
def test_with_a_load_the_machines_are_planned(target: str) -> None:
    worker = worker_of(written(target, *LOAD, *LABELLED, *INSTANCES.get(target, [])))

    assert worker["min_workers"] == 0
    assert worker["max_workers"] >= 3  # ten CPUs' worth of work, and one machine may be lost


def test_several_types_of_machines_are_several_node_types() -> None:
    machines = ["+machines.m7i-large={resources:{CPU:2},max_machines:3}", "+machines.many={resources:{CPU:16},price:2}"]
    instances = ["+instances.m7i-large=m7i.large", "+instances.many=m7i.4xlarge"]
    config = written("aws", *machines, *instances, "load=400/s", *LOAD[1:], "+machines.m7i-large.min_machines=1")

    types = config["available_node_types"]
    assert types["many"]["node_config"]["InstanceType"] == "m7i.4xlarge"
    assert types["m7i-large"]["node_config"]["InstanceType"] == "m7i.large"
    assert types["m7i-large"]["min_workers"] == 1
    assert types["many"]["max_workers"] + types["m7i-large"]["max_workers"] == config["max_workers"]


def test_own_machines_have_a_line_for_each_address() -> None:
    config = written("onprem", "blueprint=rayconfig_services:BLUEPRINT", *LABELLED)

    assert config["provider"]["worker_ips"] == ["FILL-IN-WORKER-1", "FILL-IN-WORKER-2", "FILL-IN-WORKER-3"]
    assert '--labels="zone=a"' in config["worker_start_ray_commands"][-1]


def test_without_a_file_it_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["ray-config", "target=local", "blueprint=rayconfig_services:BLUEPRINT"]) == 0

    printed = capfd.readouterr().out
    assert printed.startswith("# Written by raybeam ray-config target=local blueprint=rayconfig_services:BLUEPRINT\n")
    assert "/shop/env" in printed
    assert yaml.safe_load(printed)["cluster_name"] == "shop"
    assert not Path("outputs").exists()


OURS = "blueprint=rayconfig_services:BLUEPRINT"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "target is missing: give one of local, aws, gcp, onprem, kuberay"),
        (["target=azure"], "target='azure': give one of local"),
        (["target=local"], "nothing is asked for: give blueprint=, load= and slo=, or both"),
        (["target=local", "blueprint=no.such:THING"], "blueprint: 'no.such:THING' cannot be imported"),
        (["target=local", "blueprint=nowhere.yaml"], "blueprint='nowhere.yaml' cannot be read"),
        (["target=local", "blueprint=rayconfig_services:LARGE"], "1 of the replicas of 'stock' fit on none"),
        (["target=aws", OURS, *LABELLED], "instances.small: which machine of aws is it?"),
        (["target=gcp", OURS, *LABELLED, "+instances.small=n1"], "Give +instances.small=e2-standard-4"),
        (["target=aws", OURS, "+instances.tiny=t3.micro"], "instances.tiny: there is no such machine"),
        (["target=local", OURS, "+machines.head={resources:{CPU:4}}"], "machines.head: a node type is named"),
        (["target=kuberay", OURS, "+machines.A_b={resources:{CPU:4}}"], "machines.A_b: a node type is named"),
        (["target=local", OURS, "+machines.a={resources:{CPU:1.5}}"], "resources.CPU=1.5: Ray wants a whole number"),
        (["target=local", OURS, "+machines.a={resources:{CPU:-1}}"], "machines.a"),
        (["target=local", OURS, "+machines.a={cpus:4}"], "machines.a.cpus: there is no such key"),
        (["target=local", OURS, "idle_timeout_s=-1"], "idle_timeout_s=-1.0: give a finite number"),
        (["target=local", OURS, "name=A/B"], "name='A/B': small letters, digits"),
        (["target=kuberay", OURS, "name=shop-"], "name='shop-': on Kubernetes it begins with a letter and ends"),
        (["target=kuberay", OURS, "name=3shop"], "name='3shop': on Kubernetes it begins with a letter and ends"),
        (["target=local", OURS, "out=/dev/null/x"], "out='/dev/null/x' cannot be written"),
        (["target=local", OURS, "colour=red"], "colour"),
        (["target=local", *LOAD[:2], "slo=50ms@0.99"], "no number of replicas answers sooner"),
        (
            ["target=onprem", "machines=zones", *LOAD[1:], "load=5000/s", "survive=zone"],
            "onprem has one kind of worker, and these are several: zone-a",
        ),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["ray-config", *arguments])

    error = capfd.readouterr().err
    assert status == 2
    assert told in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_a_name_that_yaml_takes_for_something_else_stays_a_name_on_kubernetes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["ray-config", "target=kuberay", OURS, "name='on'"]) == 0
    assert '  name: "on"\n' in capfd.readouterr().out
