"""Carriers under chaos: handlers cancel, swallow, sleep, crash and kill; afterwards everybody alive still answers."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.actors import CallFailed, From, GenServer, NoReply, Pid, Reply, Runtime, gen_server, process
from raybeam.actors.testing import run

SERVERS = 12
CLIENTS = 6


class Chaotic(GenServer):
    """Does at random what a handler may do, and what it should not."""

    async def init(self, chance: random.Random, peers: list[Pid]) -> None:
        self.chance = chance
        self.peers = peers

    async def handle_call(self, request: object, sender: From) -> Reply | NoReply:
        assert isinstance(request, int)
        if request == 0:
            return Reply("alive")
        task, chance = asyncio.current_task(), self.chance
        assert task is not None
        match chance.randrange(20):
            case 0:
                task.cancel()
                return Reply(None)
            case 1:
                task.cancel()
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    return Reply(None)
            case 2 | 3:
                await asyncio.sleep(chance.random())
            case 4:
                process.exit_process(chance.choice(self.peers), "kill")
            case 5:
                raise ValueError("boom")
            case 6:
                self.runtime.loop.call_later(chance.random(), sender.reply, "later")
                return NoReply()
        try:
            async with asyncio.timeout(chance.choice([0.01, 5])):
                return Reply(await gen_server.request(chance.choice(self.peers), request - 1, chance.choice([0.01, 5])))
        except (CallFailed, TimeoutError):
            return Reply(None)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_handlers_do_who_is_alive_answers_and_nothing_is_left_behind(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        async with Runtime(reports=lambda report: None) as runtime:
            peers: list[Pid] = []
            for _ in range(SERVERS):
                peers.append(await gen_server.start(Chaotic, chance, peers))

            async def client() -> None:
                for _ in range(20):
                    place = chance.randrange(SERVERS)
                    if not process.is_alive(peers[place]):
                        peers[place] = await gen_server.start(Chaotic, chance, peers)
                    try:
                        await gen_server.request(peers[place], chance.randrange(1, 6), chance.choice([0.01, 5]))
                    except CallFailed:
                        continue

            await asyncio.gather(*(client() for _ in range(CLIENTS)))
            await asyncio.sleep(60)
            for pid in runtime.processes():
                assert await gen_server.request(pid, 0, 1) == "alive"
                cell = runtime.cell(pid)
                assert cell is not None
                assert not cell.calls
                assert not cell.mailbox
                assert not cell.scheduled
            assert all(task.cancelling() == 0 for task in asyncio.all_tasks() - {asyncio.current_task()})

    run(main())
