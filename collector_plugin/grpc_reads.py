"""The gRPC requests whose messages are still being read, and the end of those that take too long.

gRPC has no deadline for a client that sends half a message and then nothing, and each holds a thread. Pure but for
the lock: what a request is, and how it is ended, is said by the caller.
"""

import threading
from collections.abc import Callable


class Reads:
    """All requests that are being read. Safe to use from several threads."""

    def __init__(self, max_ns: int) -> None:
        """Give each request up to `max_ns`."""
        self._max_ns = max_ns
        self._lock = threading.Lock()
        self._ends: dict[int, tuple[int, Callable[[], object]]] = {}
        self._next = 0

    def begin(self, end: Callable[[], object], now_ns: int) -> int:
        """Remember a request, which `end` ends, from now on; return its number."""
        with self._lock:
            self._next += 1
            self._ends[self._next] = (now_ns, end)
            return self._next

    def finish(self, number: int) -> bool:
        """Forget the request, which was read; False where it was ended meanwhile."""
        with self._lock:
            return self._ends.pop(number, None) is not None

    def end_overdue(self, now_ns: int) -> int:
        """End what takes too long; return how many were."""
        overdue: list[Callable[[], object]] = []
        with self._lock:
            # In order of their beginning: the first that is young ends the search.
            for number, (began_ns, end) in list(self._ends.items()):
                if now_ns - began_ns < self._max_ns:
                    break
                del self._ends[number]
                overdue.append(end)
        for end in overdue:
            end()
        return len(overdue)
