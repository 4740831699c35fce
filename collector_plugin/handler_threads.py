"""Threads that work for an event loop: each piece of work is awaited, and blocks nobody but its thread.

Half the cost of `run_in_executor`, whose futures have a lock each and are copied. All methods are the loop's.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class HandlerThreads(Generic[T]):
    """Up to `limit` threads, started as they are needed. They do not keep the program from ending."""

    def __init__(self, limit: int, name: str) -> None:
        """Start none yet."""
        self._limit = limit
        self._name = name
        self._jobs: queue.SimpleQueue[_Job[T] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._under_way = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises. When cancelled, `work` may run on, or never run."""
        job = _Job(work)
        self._under_way += 1
        if len(self._threads) < min(self._under_way, self._limit):
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._jobs.put(job)
        try:
            return await job.future
        finally:
            self._under_way -= 1

    def stop(self) -> None:
        """Let each thread end with the work that it is at."""
        for _ in self._threads:
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()


class _Job(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self.future: asyncio.Future[T] = self._loop.create_future()

    def run(self) -> None:
        if self.future.cancelled():
            return
        try:
            result = self._work()
        except Exception as error:  # noqa: BLE001 - it is raised where the work is awaited
            self._tell(self.future.set_exception, error)
        else:
            self._tell(self.future.set_result, result)

    def _tell(self, settle: Callable[..., None], outcome: object) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle, settle, outcome)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            return

    def _settle(self, settle: Callable[..., None], outcome: object) -> None:
        if not self.future.done():
            settle(outcome)
