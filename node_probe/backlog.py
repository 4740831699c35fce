"""The transits that wait to be sent, as spans: bounded in bytes, oldest out first.

Pure but for the lock, since one thread adds and another takes.
"""

import threading
from collections import deque
from collections.abc import Iterable

from node_probe.span_writer import SpanBatch

BATCH_BYTES = 512
"""Of memory for a waiting batch beside its spans (350 measured): with little traffic each has a single transit."""

RESERVED_MIB = 80
"""For all else: interpreter and libraries (56), and what is being read, written and sent."""

DEFAULT_MEMORY_MIB = 160
"""Leaves room for 300,000 transits of four stamps: at 5,000 a second a minute without a collector."""


def fit_bytes(memory_mib: int) -> int:
    """Return how many bytes may wait where the process may take so much memory, which is above RESERVED_MIB."""
    return (memory_mib - RESERVED_MIB) << 20


class Backlog:
    """A queue of batches between the reader of the ring and the sender."""

    def __init__(self, max_bytes: int = fit_bytes(DEFAULT_MEMORY_MIB)) -> None:
        """Hold up to `max_bytes`: of the batches' spans, and BATCH_BYTES for each."""
        self._queue: deque[SpanBatch] = deque()
        self._max = max_bytes
        self._bytes = 0
        self._transits = 0
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._ending = False

    def add(self, batches: Iterable[SpanBatch]) -> int:
        """Append batches and wake the sender; return how many older transits had to go."""
        dropped = 0
        with self._lock:
            for batch in batches:
                self._queue.append(batch)
                self._count(batch, 1)
            while self._bytes > self._max:
                dropped += self._pop().count
        self._filled.set()
        return dropped

    def take(self, limit: int) -> list[SpanBatch]:
        """Remove and return batches, oldest first: up to `limit` transits in all, but at least one batch."""
        taken: list[SpanBatch] = []
        with self._lock:
            while self._queue and (not taken or limit >= self._queue[0].count):
                taken.append(self._pop())
                limit -= taken[-1].count
            if not self._queue and not self._ending:
                self._filled.clear()
        return taken

    def wait(self) -> None:
        """Wait until something is to be taken; not any more after `end_waiting`."""
        self._filled.wait()

    def end_waiting(self) -> None:
        """Let who waits, now or ever after, come back although there is nothing."""
        with self._lock:
            # Kept: who has been woken by `add` is perhaps about to take, and then clears what is set here.
            self._ending = True
            self._filled.set()

    def __len__(self) -> int:
        """Return how many transits wait."""
        return self._transits

    def _pop(self) -> SpanBatch:
        batch = self._queue.popleft()
        self._count(batch, -1)
        return batch

    def _count(self, batch: SpanBatch, sign: int) -> None:
        self._bytes += sign * (len(batch.spans) + BATCH_BYTES)
        self._transits += sign * batch.count
