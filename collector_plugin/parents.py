"""Remembers application spans that may be parents: resource, start and end, for a while and in bounded bytes.

Pure: `now_ns` is any clock that never steps. Spans are kept in generations, so that the oldest go first, many at
once, and no span needs a deadline of its own.
"""

import collections
import struct

import msgspec

from collector_plugin.span_walk import SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER, SpanTimes

GENERATIONS = 16
"""A span is forgotten at most 1/16 too early or too late; each look-up asks every generation."""

SPAN_BYTES = 170
"""What a remembered span takes, measured: key 64, value 64, and up to 40 for its place in a dict."""

RESOURCE_OVERHEAD_BYTES = 150

_VALUE = struct.Struct("<QQIB")


class Parent(msgspec.Struct, frozen=True):
    """An application span, as far as its network spans need it."""

    resource: bytes
    """Fields `resource` and `schema_url` of its ResourceSpans, byte for byte."""
    start_ns: int
    end_ns: int
    """Epoch nanoseconds, as the application set them."""


class ParentStore:
    """A bounded memory of spans by trace id and span id."""

    def __init__(self, max_bytes: int, ttl_ns: int) -> None:
        """Remember spans for `ttl_ns`, or shorter where they would take more than `max_bytes`."""
        self.evicted = 0
        """Spans forgotten for want of room; those that grew old are not counted."""
        self._max_bytes = max_bytes
        self._ttl_ns = ttl_ns
        self._generations: collections.deque[_Generation] = collections.deque()

    def remember(self, resource: bytes, spans: list[SpanTimes], now_ns: int) -> None:
        """Remember `spans`, which lie on `resource`. A span seen again replaces the former one."""
        generation = self._open_generation(now_ns)
        index = generation.intern(resource)
        entries = generation.entries
        pack = _VALUE.pack
        for key, kind, start_ns, end_ns in spans:
            waits = kind in (SPAN_KIND_CLIENT, SPAN_KIND_PRODUCER)
            if not waits:
                # B3's shared ids: the SERVER half has the same id, and it is the CLIENT half that waited.
                known = entries.get(key)
                if known is not None and known[-1]:
                    continue
            entries[key] = pack(start_ns, end_ns, index, waits)

    def find(self, key: bytes) -> Parent | None:
        """Return the span with the trace id and span id `key` (24 bytes): the one that waited, if several have it."""
        best: Parent | None = None
        for generation in reversed(self._generations):
            value = generation.entries.get(key)
            if value is None:
                continue
            start_ns, end_ns, index, waits = _VALUE.unpack(value)
            if best is None or waits:
                best = Parent(generation.resources[index], start_ns, end_ns)
            if waits:
                break
        return best

    def expire(self, now_ns: int) -> None:
        """Forget what is older than the time to live."""
        generations = self._generations
        while len(generations) > 1 and generations[1].born_ns + self._ttl_ns <= now_ns:
            generations.popleft()
        if len(generations) == 1 and generations[0].born_ns + self._ttl_ns * 2 <= now_ns:
            generations.clear()

    @property
    def count(self) -> int:
        """Spans remembered; one that was seen twice may count twice."""
        return sum(len(generation.entries) for generation in self._generations)

    @property
    def size_bytes(self) -> int:
        """Estimate of the memory in use."""
        return sum(generation.size_bytes for generation in self._generations)

    def _open_generation(self, now_ns: int) -> "_Generation":
        self.expire(now_ns)
        generations = self._generations
        if generations:
            newest = generations[-1]
            too_old = now_ns - newest.born_ns >= self._ttl_ns // GENERATIONS
            if not too_old and newest.size_bytes < self._max_bytes // GENERATIONS:
                return newest
        generations.append(_Generation(now_ns))
        while len(generations) > 1 and self.size_bytes > self._max_bytes * (GENERATIONS - 1) // GENERATIONS:
            self.evicted += len(generations.popleft().entries)
        return generations[-1]


class _Generation:
    """The spans that came in one stretch of time."""

    def __init__(self, born_ns: int) -> None:
        self.born_ns = born_ns
        self.entries: dict[bytes, bytes] = {}
        self.resources: list[bytes] = []
        self._indexes: dict[bytes, int] = {}
        self._resource_bytes = 0

    @property
    def size_bytes(self) -> int:
        return len(self.entries) * SPAN_BYTES + self._resource_bytes

    def intern(self, resource: bytes) -> int:
        index = self._indexes.get(resource)
        if index is None:
            index = self._indexes[resource] = len(self.resources)
            self.resources.append(resource)
            self._resource_bytes += len(resource) + RESOURCE_OVERHEAD_BYTES
        return index
