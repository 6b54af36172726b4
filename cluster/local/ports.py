"""Free ports of this machine."""

from __future__ import annotations

import contextlib
import errno
import socket


def free_ports(address: str, count: int) -> list[int]:
    """That many distinct ports that nobody listens on at the moment."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((address, 0))
        return [each.getsockname()[1] for each in sockets]


def why_refused(address: str, port: int) -> str | None:
    """Why this user cannot listen on the port now, to be read after its name; `None`: it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            match error.errno:
                case errno.EADDRINUSE:
                    return "is in use"
                case errno.EACCES:
                    return "is not allowed to this user (low ports are root's)"
                case _:
                    return f"cannot be used on {address} ({error.strerror})"
    return None
