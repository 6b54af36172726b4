"""Runs a command that the kernel kills when the process that started it is gone, however that ended (Linux).

    python fate_share.py PARENT COMMAND [ARGUMENT ...]

The wish outlasts `exec`, so this small program makes it and becomes the command. To make it in `preexec_fn`, between
fork and exec, could deadlock in a parent that has threads. It is bound to the *thread* that started us: that must be
one that lives as long as its process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Wish, and become the command."""
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(f"the process {parent} that wanted {command[0]} is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main()
