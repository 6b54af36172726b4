"""The way of a driver into a Ray cluster: one place for addresses, tokens and quiet logs."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray._private import worker
from ray._raylet import Config  # type: ignore[attr-defined]  # a compiled module

from raybeam.actors import ClusterError, UsageError
from raybeam.actors.runtime import log

from ..names import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

REACHED_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Connection:
    """How a driver gets into a cluster.

    Attributes:
        address: Of the head, `"host:port"`.
        node_address: The address that the driver's own machine has in the cluster; `None`: Ray finds out.
        dashboard_url: Of the Ray dashboard, `None` when there is none or it is not known.
        environment: Variables that must be set before Ray looks at them, such as the token.
    """

    address: str
    node_address: str | None = None
    dashboard_url: str | None = None
    environment: dict[str, str] = field(default_factory=dict, repr=False)


def existing(address: str | None = None) -> Connection:
    """A cluster that runs already.

    Args:
        address: `"host:port"` of its head. Default: the variable `RAY_ADDRESS`.

    Raises:
        UsageError: No address was given, or it is none.
        ClusterError: Nobody answers there.
    """
    given = address or os.environ.get("RAY_ADDRESS")
    if not given:
        raise UsageError("no cluster to join: set RAY_ADDRESS to host:port of its head, or use cluster=local3")
    split = urllib.parse.urlsplit(f"//{given}")
    try:
        host, port = split.hostname, split.port
    except ValueError:
        host = port = None
    if host is None or port is None or "/" in given:
        raise UsageError(f"RAY_ADDRESS={given!r}: write host:port of the head, for example 10.0.0.5:6379")
    try:
        socket.create_connection((host, port), timeout=REACHED_WITHIN_S).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: the name of the host is none
        raise ClusterError(f"nobody answers at {given} ({error}): is the cluster up, and RAY_ADDRESS right?") from None
    return Connection(given)


@contextlib.contextmanager
def connect(connection: Connection) -> Iterator[None]:
    """Connect this process to a cluster, for the length of the block.

    Raises:
        ClusterError: Ray does not let us in.
    """
    if connection.environment:
        os.environ.update(connection.environment)
        Config.initialize("")  # Ray read its variables when it was imported; this is how Ray itself reads them anew
    node: dict[str, Any] = {} if connection.node_address is None else {"_node_ip_address": connection.node_address}
    try:
        ray.init(
            address=connection.address,
            namespace=NAMESPACE,
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=True,
            **node,
        )
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise ClusterError(
            f"Ray at {connection.address} does not let us in: {type(error).__name__}: {first}"
        ) from error
    try:
        with _deaths_untold():
            yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _deaths_untold() -> Iterator[None]:
    """Keep Ray from printing a paragraph about each dead worker into the driver's output.

    A keeper tells the same in one line and acts on it. Ray 2.60 has no option for this.
    """
    shown = worker.print_to_stdstream

    def log_instead(data: dict[str, Any], ignore_prefix: bool) -> None:
        log.info("Ray: %s", " ".join(data["lines"]))

    worker.print_to_stdstream = log_instead
    try:
        yield
    finally:
        worker.print_to_stdstream = shown
