"""The bounded mailbox of a server against a naive model: two lists."""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raybeam.actors import From, GenServer, Overflow, Overloaded, Pid, Reply, Runtime, gen_server, process
from raybeam.actors.testing import VirtualTimeLoop, settle


class Gate(GenServer):
    """Handles a message when it is let through."""

    async def init(self) -> None:
        self.handled: list[int] = []
        self.permits = asyncio.Semaphore(0)

    async def pass_through(self, number: int) -> None:
        await self.permits.acquire()
        self.handled.append(number)

    async def handle_call(self, request: object, sender: From) -> Reply:
        assert isinstance(request, int)
        await self.pass_through(request)
        return Reply(request)

    async def handle_cast(self, request: object) -> None:
        assert isinstance(request, int)
        await self.pass_through(request)

    async def handle_info(self, message: object) -> None:
        assert isinstance(message, int)
        await self.pass_through(message)


class Mailbox(RuleBasedStateMachine):
    """Calls, casts and plain messages to a server that serves them one by one, or is suspended."""

    @initialize(limit=st.integers(1, 4), policy=st.sampled_from(list(Overflow)))
    def start(self, limit: int, policy: Overflow) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.limit, self.policy = limit, policy
        self.gate: Gate
        kind = type("Bounded", (Gate,), {"mailbox_limit": limit, "mailbox_overflow": policy})

        async def begin() -> Pid:
            self.runtime = Runtime(reports=lambda report: None)
            await self.runtime.__aenter__()
            return await gen_server.start(kind)

        self.pid = self.runner.run(begin())
        cell = self.runtime.cell(self.pid)
        self.gate = cell.server  # type: ignore[union-attr]  # a ServerCell
        self.answers: dict[int, asyncio.Task[object]] = {}
        self.number = 0
        # The model: what is being handled, what waits in order, which numbers are calls, and their outcomes.
        self.at_work: int | None = None
        self.waiting: list[int] = []
        self.calls: set[int] = set()
        self.outcomes: dict[int, str] = {}
        self.handled: list[int] = []
        self.suspended = False

    def do(self, act: Any) -> None:
        async def doing() -> None:
            result = act()
            if asyncio.iscoroutine(result):
                await result
            await settle()

        self.runner.run(doing())

    def next_to_work(self) -> None:
        if self.at_work is None and self.waiting and not self.suspended:
            self.at_work = self.waiting.pop(0)

    @rule()
    def call(self) -> None:
        self.number += 1
        number = self.number

        def ask() -> None:
            self.answers[number] = asyncio.ensure_future(gen_server.request(self.pid, number, None))

        self.do(ask)
        self.calls.add(number)
        queued = [other for other in self.waiting if other in self.calls]
        if len(queued) >= self.limit:
            refused = {Overflow.REJECT: number, Overflow.DROP_OLDEST: queued[0], Overflow.DROP_NEWEST: queued[-1]}
            self.outcomes[refused[self.policy]] = "overloaded"
            if refused[self.policy] == number:
                return
            self.waiting.remove(refused[self.policy])
        self.waiting.append(number)
        self.next_to_work()

    @rule(plain=st.booleans())
    def tell(self, plain: bool) -> None:
        self.number += 1
        number = self.number
        self.do(lambda: process.send(self.pid, number) if plain else gen_server.tell(self.pid, number))
        self.waiting.append(number)
        self.next_to_work()

    @precondition(lambda self: self.at_work is not None)
    @rule()
    def let_one_through(self) -> None:
        self.do(self.gate.permits.release)
        assert self.at_work is not None
        self.handled.append(self.at_work)
        if self.at_work in self.calls:
            self.outcomes[self.at_work] = "answered"
        self.at_work = None
        self.next_to_work()

    @precondition(lambda self: self.at_work is None and not self.suspended)
    @rule()
    def suspend(self) -> None:
        self.do(lambda: gen_server.suspend(self.pid))
        self.suspended = True

    @precondition(lambda self: self.suspended)
    @rule()
    def resume(self) -> None:
        self.do(lambda: gen_server.resume(self.pid))
        self.suspended = False
        self.next_to_work()

    @invariant()
    def messages_are_handled_in_order_and_calls_end_as_the_policy_says(self) -> None:
        assert self.gate.handled == self.handled
        outcomes = {}
        for number, task in self.answers.items():
            if task.done():
                outcomes[number] = "overloaded" if isinstance(task.exception(), Overloaded) else "answered"
        assert outcomes == self.outcomes

    def teardown(self) -> None:
        async def end() -> None:
            await self.runtime.close()
            await asyncio.gather(*self.answers.values(), return_exceptions=True)

        if hasattr(self, "runner"):
            self.runner.run(end())
            self.runner.close()


TestMailbox = Mailbox.TestCase
TestMailbox.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
