"""The table of machines on disk: `ray up`, the autoscaler on the head and `ray down` all work on the same one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import TYPE_CHECKING

from raybeam.actors import ClusterError

from ..kernel.machine_table import MachineTable, from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = "lock"
TABLE = "machines.json"


class TableFile:
    """A table in a folder, changed by one at a time, whoever it is: a thread or another process.

    Args:
        folder: Of the cluster. Where it does not exist the table is empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> MachineTable:
        """The table as it is now.

        Raises:
            ClusterError: The file is no table.
        """
        path = self.folder / TABLE
        try:
            return from_plain(json.loads(path.read_text()))
        except (FileNotFoundError, NotADirectoryError):
            return MachineTable()
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"{path} cannot be read ({error}): end the processes whose environment names {self.folder}, "
                "then remove that folder"
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[LockedTable]:
        """Keep everybody else from changing the table for the length of the block; the folder must exist."""
        with (self.folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield LockedTable(self)


class LockedTable:
    """What may be done with a table that is locked."""

    def __init__(self, file: TableFile) -> None:
        self._file = file
        self.table = file.read()

    def write(self, table: MachineTable) -> None:
        """Put another table in its place, as a whole or not at all."""
        self.table = table
        path = self._file.folder / TABLE
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(to_plain(table), indent=1))
        os.replace(beside, path)
