"""Ports: free ones are found, and why one cannot be had is told."""

import errno
import os
import socket

import pytest

from raybeam.cluster.local.ports import free_ports, why_refused


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports("127.0.0.1", 5)

    assert len(set(ports)) == 5
    assert [why_refused("127.0.0.1", port) for port in ports] == [None] * 5


def test_a_port_that_somebody_listens_on_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert why_refused("127.0.0.1", taken.getsockname()[1]) == "is in use"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "is not allowed to this user (low ports are root's)"),
        (errno.EADDRNOTAVAIL, "cannot be used on 127.0.0.1 (Cannot assign requested address)"),
    ],
)
def test_a_port_that_may_not_be_used_is_not_told_as_in_use(
    number: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", Refusing)

    assert why_refused("127.0.0.1", 80) == told
