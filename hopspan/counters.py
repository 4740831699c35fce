"""Counters by reason: one integer for each member of an Enum, safe to use from several threads."""

import threading
from enum import Enum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Enum)


class Counters(Generic[K]):
    """Counts that only grow; members never counted read 0, so that every metric label exists from the start."""

    def __init__(self, kind: type[K]) -> None:
        """Start every member of `kind` at 0."""
        self._lock = threading.Lock()
        self._counts: dict[K, int] = dict.fromkeys(kind, 0)

    def add(self, key: K, count: int = 1) -> None:
        """Add `count` (0 or more) to `key`."""
        with self._lock:
            self._counts[key] += count

    def read(self) -> dict[K, int]:
        """Return a copy of all counts."""
        with self._lock:
            return dict(self._counts)
