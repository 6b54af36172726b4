"""What a cluster file says about local machines, in its section `provider`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_FOLDER: Final = 38
HIGHEST_PORT: Final = 65535
OF_RAY: Final = ("type", "module")
LOOPBACK: Final = r"127(\.(1?\d?\d|2[0-4]\d|25[0-5])){2}"
FOLDER: Final = r"/[A-Za-z0-9._/-]*"
PORTS: Final = ("port", "dashboard_port", "client_port")


@dataclass(frozen=True, slots=True)
class LocalMachinesOptions:
    """How machines that are groups of processes are kept apart.

    Attributes:
        folder: Where each cluster gets a folder of its own. Default `/tmp/raybeam-UID`.
        network: The first three parts of all addresses; the head has number 1. Default `"127.0.2"`.
        port: Of the head. Default 6379.
        dashboard_port: Of the head's dashboard, which takes jobs. Default 8265.
        client_port: Of the head's Ray client server. Default 10001.
    """

    folder: str = ""
    network: str = "127.0.2"
    port: int = 6379
    dashboard_port: int = 8265
    client_port: int = 10001

    def __post_init__(self) -> None:
        if not re.fullmatch(LOOPBACK, self.network):
            raise UsageError(f"provider.network={self.network!r}: three parts of a loopback address, such as '127.0.2'")
        for name in PORTS:
            if not 1 <= getattr(self, name) <= HIGHEST_PORT:
                raise UsageError(f"provider.{name}={getattr(self, name)}: a port, from 1 to {HIGHEST_PORT}")
        if len({getattr(self, name) for name in PORTS}) < len(PORTS):
            raise UsageError(f"provider: {', '.join(PORTS)} must differ from each other")
        if self.folder and not re.fullmatch(FOLDER, self.folder):
            raise UsageError(
                f"provider.folder={self.folder!r}: an absolute path of letters, digits, '.', '_' and '-', for the "
                "shells of Ray's commands; or leave it out"
            )

    @classmethod
    def parse(cls, section: Mapping[str, object]) -> LocalMachinesOptions:
        """Read the section.

        Raises:
            UsageError: A field is wrong, or there is no such field.
        """
        known = [field.name for field in fields(cls)]
        given = {name: value for name, value in section.items() if name not in OF_RAY and not name.startswith("_")}
        for name, value in given.items():
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
                raise UsageError(f"provider.{name}: no such field; {hint}")
            wanted = int if name in PORTS else str
            if type(value) is not wanted:
                kind = "a whole number" if wanted is int else "a text in quotes"
                raise UsageError(f"provider.{name}={value!r}: {kind} is wanted")
        return cls(**given)  # type: ignore[arg-type]  # their types were checked

    def folder_of(self, cluster_name: str) -> Path:
        """The folder of a cluster.

        Raises:
            UsageError: The name is no name for a folder, or the path is too long for Ray's sockets.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", cluster_name):
            raise UsageError(f"cluster_name={cluster_name!r}: letters, digits, '-' and '_'")
        folder = (Path(self.folder) if self.folder else default_folder()) / cluster_name
        if len(str(folder)) > LONGEST_FOLDER:
            raise UsageError(
                f"{folder} is too long for Ray's sockets ({LONGEST_FOLDER} characters at most): "
                "a shorter cluster_name or provider.folder"
            )
        return folder

    def address_of(self, number: int) -> str:
        """The address of a machine.

        >>> LocalMachinesOptions().address_of(1)
        '127.0.2.1'
        """
        return f"{self.network}.{number}"


def default_folder() -> Path:
    """Where this user's clusters are, whatever `TMPDIR` says: commands of different shells must find them."""
    return Path(f"/tmp/raybeam-{os.getuid()}")  # noqa: S108 (it is made for this user alone, and checked)
