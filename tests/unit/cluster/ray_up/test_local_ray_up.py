"""A cluster from Python, before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from raybeam.actors import UsageError
from raybeam.cluster.ray_up import LocalRayUp

CONFIG: dict[str, Any] = {
    "cluster_name": "c",
    "provider": {"type": "external", "module": "m.C", "folder": "/tmp/rb-no"},
}


def test_a_cluster_that_is_not_up_has_no_machines_and_ends_in_silence() -> None:
    cluster = LocalRayUp(CONFIG)

    assert cluster.workers() == {}
    with pytest.raises(UsageError, match="machine 3: there are none"):
        cluster.crash(3)
    cluster.down()
    assert not Path("/tmp/rb-no").exists()


def test_drivers_and_commands_are_told_the_way_in() -> None:
    cluster = LocalRayUp(CONFIG)
    connection = cluster.connection

    assert cluster.environment == {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": "/tmp/rb-no/c/auth_token",
        "RAY_ADDRESS": "127.0.2.1:6379",
        "RAY_API_SERVER_ADDRESS": "http://127.0.2.1:8265",
    }
    assert (connection.address, connection.node_address) == ("127.0.2.1:6379", "127.0.2.1")
    assert connection.environment == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/tmp/rb-no/c/auth_token"}


def test_a_wrong_configuration_is_told_before_ray_is_asked() -> None:
    with pytest.raises(UsageError, match=r"provider\.port=-1"):
        LocalRayUp({**CONFIG, "provider": {"port": -1}})
