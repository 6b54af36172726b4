"""A simulated network between runtimes of one loop: seeded delays, cuts, crashes; order is kept per direction."""

from __future__ import annotations

import asyncio
import pickle
import random
from typing import TYPE_CHECKING

from ..distribution import Distribution
from ..signals import in_words

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..signals import Signal


class Network:
    """Connects runtimes with each other.

    Args:
        seed: Seeds the delays. Default 0.
        delay_s: The longest time in seconds that a signal is under way. Default 0.01.
        detect_s: Seconds until a crash or a cut is noticed. Default 0.05.

    Example:
        >>> from raybeam.actors import Pid, Runtime, gen_server, process
        >>> from raybeam.actors.testing import Network, run
        >>> async def main() -> object:
        ...     network = Network()
        ...     async with Runtime("one") as one, Runtime("two") as two:
        ...         network.join(one)
        ...         network.join(two)
        ...         async def echo() -> None:
        ...             match await process.receive():
        ...                 case (Pid() as sender, message):
        ...                     process.send(sender, message)
        ...         far = one.spawn(echo)
        ...         async def ask() -> object:
        ...             process.send(far, (process.self_pid(), "hello"))
        ...             return await process.receive()
        ...         answers: list[object] = []
        ...         async def asking() -> None:
        ...             answers.append(await ask())
        ...         await two.ended(two.spawn(asking))
        ...         return answers
        >>> run(main())
        ['hello']
    """

    def __init__(self, seed: int = 0, delay_s: float = 0.01, detect_s: float = 0.05) -> None:
        self._random = random.Random(seed)  # noqa: S311 (delays, not secrets)
        self._delay_s = delay_s
        self._detect_s = detect_s
        self._runtimes: dict[str, Runtime] = {}
        self._cuts: set[frozenset[str]] = set()
        self._arrivals: dict[tuple[str, str], float] = {}
        self._connection: dict[frozenset[str], int] = {}

    def join(self, runtime: Runtime) -> None:
        """Connect a runtime to all that have joined."""
        runtime.distribution = Distribution(runtime, _Port(self, runtime.name))
        self._runtimes[runtime.name] = runtime
        for name, other in self._runtimes.items():
            if name != runtime.name and frozenset((name, runtime.name)) not in self._cuts:
                _peer(other).peer_up(runtime.name)
                _peer(runtime).peer_up(name)

    def cut(self, one: str, other: str) -> None:
        """Lose all signals between two runtimes from now on; both notice after a while."""
        pair = frozenset((one, other))
        self._cuts.add(pair)
        self._connection[pair] = self._connection.get(pair, 0) + 1
        for name, peer in ((one, other), (other, one)):
            self._notice_loss(name, peer)

    def heal(self, one: str, other: str) -> None:
        """Undo a cut. What was lost stays lost."""
        self._cuts.discard(frozenset((one, other)))
        for name, peer in ((one, other), (other, one)):
            if name in self._runtimes and peer in self._runtimes:
                _peer(self._runtimes[name]).peer_up(peer)

    async def crash(self, name: str) -> None:
        """End a runtime without a word, as a kill -9 of its OS process does; the others notice after a while."""
        runtime = self._runtimes.pop(name)
        runtime.distribution = None
        for pair in [frozenset((name, other)) for other in self._runtimes]:
            self._connection[pair] = self._connection.get(pair, 0) + 1
        await runtime.close()
        for other in self._runtimes:
            self._notice_loss(other, name)

    def send(self, sender: str, peer: str, signal: Signal) -> None:
        """Carry one signal."""
        try:
            data = pickle.dumps(signal)
        except Exception as error:  # noqa: BLE001 (whatever pickle raises)
            data = pickle.dumps(in_words(signal, error))
        if sender not in self._runtimes:
            return  # the last words of a crashed runtime
        pair = frozenset((sender, peer))
        if peer not in self._runtimes or pair in self._cuts:
            self._notice_loss(sender, peer)
            return
        loop = asyncio.get_running_loop()
        arrival = max(self._arrivals.get((sender, peer), 0.0), loop.time() + self._random.random() * self._delay_s)
        self._arrivals[sender, peer] = arrival
        loop.call_at(arrival, self._arrive, sender, peer, data, self._connection.get(pair, 0))

    def _arrive(self, sender: str, peer: str, data: bytes, connection: int) -> None:
        pair = frozenset((sender, peer))
        if peer in self._runtimes and pair not in self._cuts and connection == self._connection.get(pair, 0):
            _peer(self._runtimes[peer]).receive(sender, pickle.loads(data))  # noqa: S301 (our own)

    def _notice_loss(self, name: str, peer: str) -> None:
        def notice() -> None:
            runtime = self._runtimes.get(name)
            if runtime is not None and runtime.distribution is not None:
                runtime.distribution.peer_lost(peer)

        asyncio.get_running_loop().call_later(self._detect_s, notice)


class _Port:
    """One runtime's end of the network."""

    def __init__(self, network: Network, name: str) -> None:
        self._network = network
        self._name = name

    def send(self, peer: str, signal: Signal) -> None:
        self._network.send(self._name, peer, signal)


def _peer(runtime: Runtime) -> Distribution:
    assert runtime.distribution is not None
    return runtime.distribution
