"""The gRPC requests whose messages are still being read, in the order in which they began.

Pure but for the lock: what a request is, and how it is ended, is the caller's.
"""

import itertools
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Reads(Generic[T]):
    """All requests that are being read. Safe to use from several threads."""

    def __init__(self) -> None:
        """Hold none."""
        self._lock = threading.Lock()
        self._requests: dict[int, tuple[int, T]] = {}
        self._next = 0

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self._requests)

    def begin(self, request: T, now_ns: int) -> int:
        """Remember a request from now on; return its number."""
        with self._lock:
            self._next += 1
            self._requests[self._next] = (now_ns, request)
            return self._next

    def finish(self, number: int) -> bool:
        """Forget the request, which was read; False where it was taken meanwhile."""
        with self._lock:
            return self._requests.pop(number, None) is not None

    def take_begun_by(self, time_ns: int) -> list[T]:
        """Return, and forget, the requests that began at `time_ns` or before."""
        return self._take(lambda began_ns: began_ns <= time_ns)

    def take_longest(self, count: int) -> list[T]:
        """Return, and forget, the `count` requests that take longest, or all."""
        left = itertools.count(count, -1)
        return self._take(lambda _: next(left) > 0)

    def _take(self, is_wanted: Callable[[int], bool]) -> list[T]:
        """Take the oldest for whose beginning it is so, up to the first for which it is not."""
        with self._lock:
            taken = list(itertools.takewhile(lambda item: is_wanted(item[1][0]), self._requests.items()))
            for number, _ in taken:
                del self._requests[number]
        return [request for _, (_, request) in taken]
