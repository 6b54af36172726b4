"""Concurrent queries: served beside the turn of their process, bounded, cancelled with it, and it with their crash."""

import asyncio
import threading

import pytest

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    Crashed,
    Exit,
    GenServer,
    Pid,
    Regulation,
    Runtime,
    ServiceError,
    UsageError,
    call,
    gen_server,
    process,
    query,
)
from raybeam.actors.concurrent_calls import CONCURRENT_LIMIT
from raybeam.actors.testing import run, settle


class Absent(ServiceError):
    """Not there."""


class Library(GenServer):
    async def init(self) -> None:
        self.books = ["a"]
        self.cancelled = 0
        self.most = self.now_reading = 0
        self.together = threading.Barrier(3)
        self.ended: list[object] = []

    @call
    async def add(self, book: str) -> None:
        self.books.append(book)

    @query
    async def count(self) -> int:
        await asyncio.sleep(0.001)
        return len(self.books)

    @query(concurrent=True, timeout_s=60.0)
    async def read(self, book: str, seconds: float = 0.0) -> list[str]:
        self.now_reading += 1
        self.most = max(self.most, self.now_reading)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now_reading -= 1
        if book == "torn":
            raise ValueError("torn")
        if book == "exit":
            raise Exit("closing")
        if book not in self.books:
            raise Absent(book)
        return self.books

    @query(concurrent=True)
    def copy(self) -> str:
        self.together.wait(30.0)
        return threading.current_thread().name

    @query
    async def same(self) -> Pid:
        return process.self_pid()

    async def terminate(self, reason: object) -> None:
        self.ended.append(reason)


async def start() -> tuple[Pid, Library]:
    pid = await gen_server.start(Library)
    return pid, gen_server.ref(Library, pid)


def test_a_call_cannot_be_concurrent_and_the_refusal_tells_why() -> None:
    with pytest.raises(UsageError, match=r"state changes one call at a time.*@query\(concurrent=True\)"):
        call(concurrent=True)


def test_a_slow_query_does_not_hold_up_fast_ones() -> None:
    async def fast(slow: bool) -> float:
        async with Runtime() as runtime:
            _, library = await start()
            slow_ones = [asyncio.ensure_future(library.read("a", 2.0)) for _ in range(5 * slow)]
            took = []
            for _ in range(1000):
                before = runtime.now()
                await library.count()
                took.append(runtime.now() - before)
                await asyncio.sleep(0.001)
            for each in slow_ones:
                assert await each == ["a"]
            return sorted(took)[990]

    assert run(fast(slow=True)) <= 3 * run(fast(slow=False))
    assert run(fast(slow=True)) < 0.003


def test_a_query_sees_what_was_done_before_it_in_order() -> None:
    async def main() -> list[object]:
        async with Runtime():
            _, library = await start()
            return list(await asyncio.gather(library.add("b"), library.read("b"), library.add("c")))

    assert run(main())[1] == ["a", "b"]


def test_an_error_of_the_service_is_an_answer() -> None:
    async def main() -> None:
        async with Runtime():
            pid, library = await start()
            with pytest.raises(Absent):
                await library.read("z")
            assert process.is_alive(pid)

    run(main())


@pytest.mark.parametrize(("book", "reason"), [("torn", Crashed), ("exit", str)])
def test_a_crash_of_one_is_a_crash_of_its_process(book: str, reason: type) -> None:
    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append):
            pid, library = await start()
            other = asyncio.ensure_future(library.read("a", 9.0))
            await settle()
            with pytest.raises(CallFailed) as failed:
                await library.read(book)
            assert isinstance(failed.value.cause, reason)
            with pytest.raises(CallFailed) as also:
                await other
            assert isinstance(also.value.cause, reason)
            assert isinstance(await process.wait_exit(pid), str)  # noproc: it has ended

    run(main())
    assert len(reports) == 1


def test_the_end_of_the_process_cancels_them_and_tells_their_callers() -> None:
    async def main() -> list[object]:
        async with Runtime() as runtime:
            pid, library = await start()
            cell = runtime.cell(pid)
            assert cell is not None
            reading = [asyncio.ensure_future(library.read("a", 9.0)) for _ in range(3)]
            await settle()
            await gen_server.stop(pid)
            answers = await asyncio.gather(*reading, return_exceptions=True)
            await settle()
            return [[getattr(answer, "cause", answer) for answer in answers], cell.server.cancelled]  # type: ignore[attr-defined]

    assert run(main()) == [["normal"] * 3, 3]


def test_at_most_so_many_are_under_way_and_the_others_wait() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid, library = await start()
            cell = runtime.cell(pid)
            assert cell is not None
            reading = [asyncio.ensure_future(library.read("a", 1.0)) for _ in range(CONCURRENT_LIMIT)]
            await settle()
            more = [asyncio.ensure_future(library.read("a", 1.0)) for _ in range(10)]
            await settle()
            assert cell.queued_calls == 10
            more[0].cancel()
            more[1].cancel()
            await asyncio.gather(*reading, *more[2:])
            assert runtime.now() == pytest.approx(2.0)
            assert cell.queued_calls == 0
            assert cell.server.most == CONCURRENT_LIMIT  # type: ignore[attr-defined]
            assert cell.server.cancelled == 0  # type: ignore[attr-defined]

    run(main())


def test_a_regulation_may_let_more_be_under_way() -> None:
    async def main() -> int:
        async with Runtime() as runtime:
            places = CONCURRENT_LIMIT + 500
            pid = await gen_server.start(Library, regulation=Regulation(concurrency=places, queue_limit=places))
            library = gen_server.ref(Library, pid)
            await asyncio.gather(*[library.read("a", 1.0) for _ in range(places)])
            cell = runtime.cell(pid)
            assert cell is not None
            return int(cell.server.most)  # type: ignore[attr-defined]

    assert run(main()) == CONCURRENT_LIMIT + 500


def test_a_caller_that_gives_up_cancels_its_query() -> None:
    async def main() -> int:
        async with Runtime() as runtime:
            pid, library = await start()
            cell = runtime.cell(pid)
            assert cell is not None
            reading = asyncio.ensure_future(library.read("a", 9.0))
            await settle()
            reading.cancel()
            await settle()
            with pytest.raises(CallTimeout):
                await library.read.within(1.0)("a", 9.0)
            await settle()
            assert cell.server.now_reading == 0  # type: ignore[attr-defined]
            return int(cell.server.cancelled)  # type: ignore[attr-defined]

    assert run(main()) == 2


def test_one_that_is_cancelled_before_it_began_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid, library = await start()
            cell = runtime.cell(pid)
            assert cell is not None
            await library.read("a")
            reading = asyncio.ensure_future(library.read("a", 9.0))
            await asyncio.sleep(0)
            reading.cancel()
            await settle()
            assert cell.beside is not None
            assert not cell.beside._tasks
            assert not cell.calls

    run(main())


def test_blocking_ones_run_in_threads_of_their_own() -> None:
    async def main() -> None:
        async with Runtime():
            _, library = await start()
            names = await asyncio.gather(library.copy(), library.copy(), library.copy())
            assert sorted(names) == ["Library_0", "Library_1", "Library_2"]

    asyncio.run(main())


def test_it_is_measured_like_every_call() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            served: list[tuple[float, float]] = []
            runtime.on_served = lambda cell, waited_s, served_s: served.append((waited_s, served_s))
            _, library = await start()
            await library.read("a", 0.5)
            assert served == [(0.0, 0.5)]

    run(main())
