"""Threads for an event loop: results and errors come back, so many at once and no more, and a stop ends them."""

import asyncio
import threading

import pytest

from collector_plugin.handler_threads import HandlerThreads

DEADLINE_S = 20.0


def count_threads() -> int:
    """Return how many threads of the one test that counts them there are."""
    return sum(thread.name == "bounded" for thread in threading.enumerate())


def test_result_and_error_come_back() -> None:
    """Where the work is awaited; a thread outlives an error."""
    threads: HandlerThreads[int] = HandlerThreads(1, "test")

    def fail() -> int:
        raise ZeroDivisionError

    async def use() -> None:
        assert await threads.run(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await threads.run(fail)
        assert await threads.run(lambda: 8) == 8

    asyncio.run(use())
    threads.stop()


def test_threads_are_bounded_and_started_as_needed() -> None:
    """One for one after the other; for many at once up to the limit, and the others wait."""
    threads: HandlerThreads[int] = HandlerThreads(3, "bounded")
    barrier, lock = threading.Barrier(3), threading.Lock()
    now = most = 0

    def work() -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        # Three at once, or the barrier breaks.
        barrier.wait(DEADLINE_S)
        with lock:
            now -= 1
        return 1

    async def use() -> None:
        for _ in range(5):
            await threads.run(lambda: 1)
        assert count_threads() == 1
        assert sum(await asyncio.gather(*(threads.run(work) for _ in range(9)))) == 9
        assert count_threads() == 3

    asyncio.run(use())
    threads.stop()
    assert most == 3


def test_cancelled_work_that_waits_is_never_done() -> None:
    """What nobody waits for is not begun; what is under way ends without harm, also after its loop."""
    threads: HandlerThreads[None] = HandlerThreads(1, "test")
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        go_on.wait(DEADLINE_S)
        done.append("first")

    async def use() -> None:
        running = [asyncio.ensure_future(threads.run(work)) for work in (first, lambda: done.append("second"))]
        await asyncio.to_thread(begun.wait, DEADLINE_S)
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    asyncio.run(use())
    go_on.set()

    async def use_again() -> None:
        await threads.run(ended.set)

    asyncio.run(use_again())
    assert ended.is_set()
    assert done == ["first"]
    threads.stop()


def test_stopped_threads_end() -> None:
    """Each with the work that it is at."""
    before = set(threading.enumerate())
    threads: HandlerThreads[None] = HandlerThreads(2, "test")
    asyncio.run(threads.run(lambda: None))
    started = set(threading.enumerate()) - before
    threads.stop()
    for thread in started:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
