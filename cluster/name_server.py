"""The name server of a runtime: makes the claims of its processes to names of the whole system, and keeps the table."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from raybeam.actors import ClusterError, Down, GenServer, NoProcess, Pid, RemoteName, Reply, gen_server
from raybeam.actors.kernel.server import NoReply
from raybeam.actors.runtime import log

from .kernel.name_claims import (
    Answer,
    Ask,
    Claims,
    Connect,
    Decided,
    Disconnect,
    Ended,
    Event,
    Forget,
    Freed,
    GiveUp,
    Gone,
    Punish,
    Send,
    Unwatch,
    Watch,
)
from .kernel.name_claims import Unregister as UnregisterClaim
from .kernel.name_protocol import Claim, Fate, Rule, Told, Want
from .name_authority import AUTHORITY
from .sealed_names import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from raybeam.actors import From, Ref, Runtime
    from raybeam.actors.kernel.reason import ExitReason
    from raybeam.actors.kernel.server import CallResult, Result

    from .kernel.name_claims import Effect

SERVER = "global_name_server"
AGAIN_S = 1.0
DECIDE_S = 5.0

Choice: TypeAlias = "Pid | Rule | None"
Chooser: TypeAlias = "Callable[[Hashable, Pid, Pid], Choice | Awaitable[Choice]]"


@dataclass(frozen=True, slots=True)
class GlobalNameConflict:
    """A process has lost its name, which another process had too: a message to it.

    Attributes:
        name: The name.
        other: The other process; it has the name now, unless the rule was `notify_all_name`.
    """

    name: Hashable
    other: Pid


@dataclass(frozen=True, slots=True)
class Register:
    """Request: give a process of this runtime a name."""

    name: Hashable
    pid: Pid
    conflict: Rule | Chooser
    replace: bool
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Unregister:
    """Request: take a name from the process of this runtime that has it."""

    name: Hashable
    timeout_s: float


@dataclass(frozen=True, slots=True)
class _Follow:
    """Message: the authority is another one."""


@dataclass(frozen=True, slots=True)
class _Again:
    """Message: time to see whether the authority has answered."""

    attempt: int


class Holdings:
    """What outlives the process of a name server.

    Attributes:
        claims: What the processes of the runtime have and want.
        choosers: The functions of claims with a rule of their own, by number.
        authority: Where the authority is; `None`: not known yet.
    """

    def __init__(self, root: str | None = None) -> None:
        self.claims = Claims()
        self.choosers: dict[int, Chooser] = {}
        self.authority: RemoteName | None = None if root is None else RemoteName(root, AUTHORITY)

    def follow(self, runtime: Runtime, root: str) -> None:
        """The authority is in the runtime named `root` now; the name server of `runtime` turns to it."""
        authority = RemoteName(root, AUTHORITY)
        if authority != self.authority:
            self.authority = authority
            server = runtime.cell(SERVER)
            if server is not None:
                server.deliver(_Follow())


class NameServer(GenServer):
    """One process, named `SERVER`, in each runtime. `global_names` has the functions to use it by."""

    mailbox_limit: ClassVar[int] = 1_000_000

    async def init(self, holdings: Holdings) -> None:
        """Take up the claims of a former process, and turn to the authority."""
        self.holdings = holdings
        self._claims = holdings.claims
        self._waiting: dict[int, tuple[From, asyncio.TimerHandle]] = {}
        self._watches: dict[Pid, Ref] = {}
        self._effects: deque[Effect] = deque()
        self._running = False
        self._attempt = 0
        self._authority_ref: Ref | None = None
        self._step(Disconnect())
        for pid in dict.fromkeys(claim.pid for claim in self._claims.claims):
            self._watch(pid)
        for number in self._claims.wanted:
            self._step(GiveUp(number))  # whoever waited learned of the end of the former process
        self._connect()

    @property
    def table(self) -> dict[Hashable, Pid]:
        """Who has which name, as far as is known here; read only."""
        return self._claims.table

    def get_state(self) -> object:
        """The table, and the claims of this runtime."""
        return {"authority": self.holdings.authority, "table": dict(self.table), "claims": self._claims.claims}

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Serve `register_name` and `unregister_name`."""
        match request:
            case Register(name, pid, conflict, replace, timeout_s):
                if self.runtime.cell(pid) is None:
                    sender.fail(NoProcess((pid, request)))
                    return NoReply()
                number = self._claims.next_number()
                if not isinstance(conflict, Rule):
                    self.holdings.choosers[number] = conflict
                rule = conflict if isinstance(conflict, Rule) else Rule.OWN
                self._wait(number, sender, timeout_s, f"the name {name!r} was not registered")
                self._step(Want(Claim(name, pid, number, rule), replace))
                return NoReply()
            case Unregister(name, timeout_s):
                held = self._claims.held(name)
                if held is None:
                    return Reply(False)
                self._wait(held, sender, timeout_s, f"others may still find the name {name!r} until it is back")
                self._step(UnregisterClaim(name))
                return NoReply()
        return await super().handle_call(request, sender)

    async def handle_info(self, message: object) -> Result:
        """Serve the authority; anything else is logged and dropped."""
        match message:
            case Told():
                self._step(unseal(message))
            case Decided():
                self._step(message)
            case _Follow():
                self._connect()
            case _Again(attempt):
                if attempt == self._attempt and not self._claims.established:
                    self._connect()
            case Down(ref):
                if ref == self._authority_ref:
                    self._authority_ref = None
                    self._step(Disconnect())
                    self._look_again()
            case _:
                return await super().handle_info(message)
        return None

    # -- the authority -------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Begin a session; while there is no answer, again and again."""
        authority = self.holdings.authority
        if self._authority_ref is not None:
            self.runtime.demonitor(self._cell, self._authority_ref)
            self._authority_ref = None
        if authority is not None:
            self._authority_ref = self.runtime.monitor(self._cell, authority)
            self._step(Connect(self.pid))
            self._look_again()

    def _look_again(self) -> None:
        self._attempt += 1
        self.runtime.loop.call_later(AGAIN_S, self._cell.deliver, _Again(self._attempt))

    # -- effects -------------------------------------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        """Step the kernel and carry out what it says; what that leads to, such as an end, behind it."""
        self._effects.extend(self._claims.step(event))
        if self._running:
            return
        self._running = True
        try:
            while self._effects:
                self._run(self._effects.popleft())
        finally:
            self._running = False

    def _run(self, effect: Effect) -> None:
        match effect:
            case Send(message):
                assert self.holdings.authority is not None
                cell = self.runtime.cell(self.holdings.authority)
                if cell is not None:
                    cell.deliver(seal(message))
            case Watch(pid):
                self._watch(pid)
            case Unwatch(pid):
                ref, cell = self._watches.pop(pid, None), self.runtime.cell(pid)
                if ref is not None and cell is not None:
                    cell.unwatched_by(ref)
            case Answer(number, holder):
                self._answer(number, holder)
            case Freed(number):
                self._answer(number, True)
            case Gone(number):
                sender = self._waiter(number)
                if sender is not None:
                    sender.fail(NoProcess())
            case Punish():
                self._punish(effect)
            case Ask(claim, against):
                self._choose(claim, against)
            case Forget(number):
                self.holdings.choosers.pop(number, None)

    def _watch(self, pid: Pid) -> None:
        cell = self.runtime.cell(pid)
        if cell is None:
            self._step(Ended(pid))
        else:
            self._watches[pid] = self.runtime.watch(cell, lambda reason: self._ended(pid, reason))

    def _ended(self, pid: Pid, reason: ExitReason) -> None:
        if self._cell.alive:
            self._watches.pop(pid, None)
            self._step(Ended(pid))

    def _punish(self, punish: Punish) -> None:
        log.warning("the name %r: %s loses it to %s: %s", punish.name, punish.pid, punish.other, punish.fate.value)
        cell = self.runtime.cell(punish.pid)
        if punish.fate is Fate.KILLED:
            self.runtime.exit(None, punish.pid, "kill")
        elif cell is not None:
            cell.deliver(GlobalNameConflict(punish.name, punish.other))

    def _choose(self, claim: Claim, against: Claim) -> None:
        """Run the function of a claim, in a process of its own; it may fail or take too long: then nobody is chosen."""
        chooser = self.holdings.choosers[claim.number]

        async def choose() -> None:
            chosen: Choice = None
            try:
                async with asyncio.timeout(DECIDE_S):
                    found = chooser(claim.name, against.pid, claim.pid)
                    winner = await found if inspect.isawaitable(found) else found
                    chosen = winner if isinstance(winner, Pid | Rule) else None
            finally:
                self._cell.deliver(Decided(claim.number, against, chosen))

        self.runtime.spawn(choose)

    # -- who waits -----------------------------------------------------------------------------------------------

    def _wait(self, number: int, sender: From, timeout_s: float, what: str) -> None:
        def too_late() -> None:
            waiter = self._waiter(number)
            if waiter is not None and self._cell.alive:
                self._step(GiveUp(number))
                waiter.fail(ClusterError(f"the root has not answered for {timeout_s} s: {what}"))
                self._connect()  # should a word have been lost, all is said anew

        self._waiting[number] = sender, self.runtime.loop.call_later(timeout_s, too_late)

    def _waiter(self, number: int) -> From | None:
        sender, timer = self._waiting.pop(number, (None, None))
        if timer is not None:
            timer.cancel()
        return sender

    def _answer(self, number: int, value: object) -> None:
        sender = self._waiter(number)
        if sender is not None:
            sender.reply(value)


async def start_server(holdings: Holdings) -> Pid:
    """Start the name server of this runtime, linked to the calling process."""
    return await gen_server.start_link(NameServer, holdings, name=SERVER)
