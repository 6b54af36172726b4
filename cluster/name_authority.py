"""The process that runs the authority over the names of a system; see `kernel.global_names`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from raybeam.actors import Down, GenServer, PeerDown, PeerUp, gen_server

from .kernel.global_names import Authority, Collected, Event, RuntimeFound, RuntimeLost, ServerLost, Tell, Watch
from .kernel.name_protocol import Said, State
from .sealed_names import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from raybeam.actors import Pid, Ref
    from raybeam.actors.kernel.server import Result

AUTHORITY = "global_name_authority"
COLLECT_S = 5.0


def nobody() -> Iterable[str]:
    """No runtime holds names yet."""
    return ()


class NameAuthority(GenServer):
    """Grants the names of a system; one process, named `AUTHORITY`, in its root."""

    mailbox_limit: ClassVar[int] = 1_000_000

    async def init(self, expected: Callable[[], Iterable[str]] = nobody, collect_s: float = COLLECT_S) -> None:
        """Begin to collect.

        Args:
            expected: Gives the runtimes that may hold names already. Default: there are none.
            collect_s: Seconds to wait for them at most. Default 5.
        """
        self._watched: dict[Ref, Pid] = {}
        self._authority = Authority(expected())
        if self.runtime.distribution is not None:
            self.runtime.distribution.monitor_peers(self.pid)
        if self._authority.collecting:
            self.runtime.loop.call_later(collect_s, self._cell.deliver, Collected())

    @property
    def collecting(self) -> bool:
        """Whether it waits for runtimes that may hold names."""
        return self._authority.collecting

    def table(self) -> dict[Hashable, Pid]:
        """Who has which name."""
        return self._authority.table()

    def get_state(self) -> object:
        """Who has which name."""
        return self.table()

    async def handle_info(self, message: object) -> Result:
        """Take in what name servers say, and their ends."""
        match message:
            case State() | Said():
                self._step(unseal(message))
            case Collected():
                self._step(message)
            case Down(ref) if ref in self._watched:
                self._step(ServerLost(self._watched.pop(ref)))
            case PeerDown(runtime):
                self._step(RuntimeLost(runtime))
            case PeerUp(runtime):
                self._step(RuntimeFound(runtime))
            case _:
                return await super().handle_info(message)
        return None

    def _step(self, event: Event) -> None:
        for effect in self._authority.step(event, self.runtime.random):
            match effect:
                case Tell(server, told):
                    cell = self.runtime.cell(server)
                    if cell is not None:
                        cell.deliver(seal(told))
                case Watch(server):
                    self._watched[self.runtime.monitor(self._cell, server)] = server


async def start_authority(expected: Callable[[], Iterable[str]] = nobody, collect_s: float = COLLECT_S) -> Pid:
    """Start it, linked to the calling process; see `NameAuthority.init`."""
    return await gen_server.start_link(NameAuthority, expected, collect_s, name=AUTHORITY)
