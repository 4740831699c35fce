"""The transits that wait to be sent: bounded, oldest out first.

Pure but for the lock, since one thread adds and another takes.
"""

import threading
from collections import deque

from node_probe.transit import Transit

TRANSIT_BYTES = 1280
"""Of memory for a waiting transit with four stamps: 1160 measured, and what the allocator does not give back."""

RESERVED_MIB = 96
"""For all else: interpreter and libraries (60), the ring as it is mapped (8), and what is being decoded and sent."""

DEFAULT_MEMORY_MIB = 160
"""Leaves room for 52,000 transits: at 5,000 a second ten seconds without a collector."""


def fit_transits(memory_mib: int) -> int:
    """Return how many transits may wait where the process may take so much memory, which is above RESERVED_MIB."""
    return (memory_mib - RESERVED_MIB) * (1 << 20) // TRANSIT_BYTES


class Backlog:
    """A queue of transits between the reader of the ring and the sender."""

    def __init__(self, max_transits: int = fit_transits(DEFAULT_MEMORY_MIB)) -> None:
        """Hold up to `max_transits`."""
        self._queue: deque[Transit] = deque()
        self._max = max_transits
        self._lock = threading.Lock()

    def add(self, transits: list[Transit]) -> int:
        """Append transits; return how many older ones had to go."""
        with self._lock:
            self._queue.extend(transits)
            dropped = max(0, len(self._queue) - self._max)
            for _ in range(dropped):
                self._queue.popleft()
        return dropped

    def take(self, limit: int) -> list[Transit]:
        """Remove and return up to `limit` transits, oldest first."""
        with self._lock:
            return [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]

    def __len__(self) -> int:
        """Return how many transits wait."""
        return len(self._queue)
