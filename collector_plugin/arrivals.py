"""What has come in and the join has not taken in yet: in order, bounded in bytes, added to without waiting for it.

Pure but for the lock. Requests come in many threads at once; the join takes what they brought all together, so that
none of them waits for another's transits.
"""

import collections
import threading

import msgspec

from collector_plugin.otlp_walk import ApplicationSpans, TransitSlice
from node_probe.wire_batch import BatchError, RawBatch

MAX_BYTES = 4 << 20
"""Some 70,000 spans or 6,000 transits: what comes between two ticks at the rate that one core can take."""

GROUP_BYTES = 500
"""What spans of one resource take beside their bytes, and what the transits of one node do."""

PEER_BYTES = 150
"""What a span's peer takes: two byte strings and a dict's place."""

DECODED = 3
"""Transits take so many times their bytes on the wire, which they keep."""


class Arrival(msgspec.Struct, frozen=True):
    """What one request brought for the join."""

    now_ns: int
    """When it came, by the monotonic clock."""
    application: list[ApplicationSpans]
    batches: list[tuple[TransitSlice, RawBatch | BatchError]]
    """Transits, and what they were read as."""

    @property
    def size_bytes(self) -> int:
        """Return the memory that it takes, estimated."""
        return sum(
            GROUP_BYTES + len(group.resource) + len(group.spans.data) + PEER_BYTES * len(group.peers)
            for group in self.application
        ) + sum(GROUP_BYTES + DECODED * len(part.resource_spans) for part, _ in self.batches)


class Arrivals:
    """Arrivals in the order in which they came. Safe to use from several threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = threading.Lock()
        self._queue: collections.deque[tuple[int, Arrival]] = collections.deque()
        self._bytes = 0

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self._queue)

    @property
    def size_bytes(self) -> int:
        """Return the memory that they take, estimated."""
        return self._bytes

    def add(self, arrival: Arrival) -> bool:
        """Add one; return whether more may come, else they have to be taken first."""
        size = arrival.size_bytes
        with self._lock:
            self._queue.append((size, arrival))
            self._bytes += size
            return self._bytes < MAX_BYTES

    def pop(self) -> Arrival | None:
        """Take the first one; None where there is none."""
        with self._lock:
            if not self._queue:
                return None
            size, arrival = self._queue.popleft()
            self._bytes -= size
            return arrival
