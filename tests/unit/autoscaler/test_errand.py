"""One call at a time of what may hang."""

import asyncio

import pytest

from raybeam.actors.testing import run
from raybeam.autoscaler.errand import Errand


def test_an_answer_in_time_is_returned_and_a_failure_raised() -> None:
    async def failing() -> int:
        raise OSError("no route")

    async def main() -> None:
        errand: Errand[int] = Errand(1.0)

        assert await errand.run(lambda: asyncio.sleep(0.5, 7)) == 7
        with pytest.raises(OSError, match="no route"):
            await errand.run(failing)
        assert await errand.run(lambda: asyncio.sleep(0.5, 8)) == 8

    run(main())


def test_while_one_call_hangs_no_other_is_made_and_its_answer_counts() -> None:
    calls = []

    async def slow() -> int:
        calls.append(asyncio.get_running_loop().time())
        await asyncio.sleep(2.5)
        return len(calls)

    async def main() -> None:
        errand: Errand[int] = Errand(1.0)
        for _ in range(2):
            with pytest.raises(TimeoutError, match="no answer within 1 s"):
                await errand.run(slow)

        assert await errand.run(slow) == 1
        assert calls == [0.0]

    run(main())


def test_what_is_called_off_is_cancelled() -> None:
    async def main() -> None:
        errand: Errand[int] = Errand(1.0)
        with pytest.raises(TimeoutError):
            await errand.run(lambda: asyncio.sleep(99.0, 1))
        errand.cancel()

        assert await errand.run(lambda: asyncio.sleep(0.1, 2)) == 2

    run(main())
