"""The cluster files that are shipped are what Ray and KubeRay take, with token authentication on."""

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config

from .kuberay import RayCluster

FOLDER = Path(__file__).parents[3] / "configs" / "ray"
OF_RAY_UP = ("local", "aws", "gcp", "onprem")


def file_of(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return loaded


def prepared(name: str, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """A file as `ray up` sees it, after Ray's own validation."""
    with caplog.at_level(logging.ERROR):
        config: dict[str, Any] = prepare_config(file_of(name))
    validate_config(config)
    return config


@pytest.mark.parametrize("name", OF_RAY_UP)
def test_ray_takes_the_file(name: str, caplog: pytest.LogCaptureFixture) -> None:
    config = prepared(name, caplog)

    assert config["head_node_type"] in config["available_node_types"]
    workers = [kind for kind in config["available_node_types"].values() if kind["max_workers"]]
    assert workers
    assert all(kind["resources"]["CPU"] > 0 and kind["labels"] for kind in workers)
    assert sum(kind["max_workers"] for kind in workers) == config["max_workers"]
    assert 0 < config["idle_timeout_minutes"] <= 5


@pytest.mark.parametrize("name", OF_RAY_UP)
def test_the_head_takes_no_work_and_a_lost_machine_is_seen_soon(name: str, caplog: pytest.LogCaptureFixture) -> None:
    config = prepared(name, caplog)
    start = " ".join(config["head_start_ray_commands"])

    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"]["CPU"] == 0 or "--num-cpus=0" in start
    assert '"health_check_period_ms": 500' in start
    assert '"health_check_failure_threshold": 3' in start
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in start


@pytest.mark.parametrize("name", ["aws", "gcp", "onprem"])
def test_every_machine_has_the_token_and_this_version(name: str, caplog: pytest.LogCaptureFixture) -> None:
    config = prepared(name, caplog)

    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    for kind in ("head", "worker"):
        assert "export RAY_AUTH_MODE=token; " in config[f"{kind}_start_ray_commands"][-1]
        setup = config[f"{kind}_setup_commands"]
        assert any("chmod 600 ~/.ray/auth_token" in command for command in setup)
        assert any(f'"raybeam=={version("raybeam")}"' in command for command in setup)


def test_kuberay_takes_the_manifest() -> None:
    manifest = file_of("kuberay")
    cluster = RayCluster.model_validate(manifest)

    assert cluster.spec.authOptions.mode == "token"
    assert cluster.spec.enableInTreeAutoscaling
    assert cluster.spec.autoscalerOptions.version == "v2"
    assert cluster.spec.rayVersion == ray.__version__
    manifest["metadata"]["namespace"] = "default"  # as the API server has it
    config = _derive_autoscaling_config_from_ray_cr(manifest)  # validates it too
    head, worker = (config["available_node_types"][name] for name in ("headgroup", "worker"))
    assert head["resources"]["CPU"] == 0
    assert (worker["resources"]["CPU"], worker["max_workers"]) == (4, 10)
    assert worker["labels"] == {"market": "on-demand"}


@pytest.mark.parametrize("name", [*OF_RAY_UP, "kuberay"])
def test_what_must_be_filled_in_is_told_at_the_top(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    comment, _, rest = text.partition("\ncluster_name:" if name != "kuberay" else "\napiVersion:")

    assert all(line.startswith("#") for line in comment.splitlines())
    assert ("FILL-IN" in rest) <= ("Fill in:" in comment)
    assert "/home/" not in text
