"""Stands in for `ray start --block`: prints what that prints, without Ray.

The variable STAND_IN says by the index of a machine what it does instead of coming up: `{"3": "fails"}`.
"""

import json
import os
import signal
import socket
import subprocess
import sys


def main() -> None:
    options = dict(argument.lstrip("-").partition("=")[::2] for argument in sys.argv[1:])
    index = int(options["node-ip-address"].rpartition(".")[2]) - 1
    behaviour = json.loads(os.environ.get("STAND_IN", "{}")).get(str(index))
    if behaviour == "fails":
        sys.exit("no memory for the object store")
    with socket.socket() as server:
        if "head" in options:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((options["node-ip-address"], int(options["port"])))
            server.listen()
        raylet = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
        if behaviour != "hangs":
            print("Ray runtime started.", flush=True)
        raylet.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
