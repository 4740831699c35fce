"""Remembers application spans that may be parents: ids, times, resource and peer, for a while and in bounded bytes.

Pure: `now_ns` is any clock that never steps. Spans are packed into chunks in the order they came, so that the oldest
go first, many at once, and no span needs a deadline or an object of its own; a hash table leads to the newest span of
each slot, and each span to the one before it.
"""

import array
import collections
from collections.abc import Mapping

from collector_plugin.network_span import NetworkSpan
from collector_plugin.packed_spans import PACKED_BYTES, PackedSpans, Spans, half_of, pack_spans
from collector_plugin.parent import Parent
from collector_plugin.parent_chunks import BEST_RANK, Chunk
from collector_plugin.parent_origins import OriginTable
from collector_plugin.span_peers import CALLING_KINDS
from collector_plugin.span_walk import LEFT_BYTES

MAX_BYTES = 48 << 20
"""Some 860,000 spans: a window and ten seconds at 12,000 spans a second, while most transits come within one second.
So all of a plugin that is at the end of its core for minutes is within 150 MiB."""

GENERATIONS = 16
"""Chunks that a time to live has at least: a span is forgotten at most 1/16 too early or too late."""

CHUNK_SPANS = 4096
"""Spans that a chunk has room for, 232 KiB."""

MIN_CHUNKS = 4 * GENERATIONS
"""Chunks that there is room for at least: time alone opens 17, and their room is taken whether it is used or not."""

MAX_SLOTS = 1 << 20
"""Slots of the hash table, 4 bytes each. A slot leads to one span where as many are remembered."""

MAX_STEPS = 64
"""Spans of one slot that a look-up passes: as long as only a flood of spans with one id makes a slot."""

SPAN_BYTES = PACKED_BYTES + 4 + 4
"""The span, its origin, and the number of the slot's former span."""

_NUMBER_MASK = (1 << 30) - 1
"""Of numbers so much counts: of two spans that far apart the first is gone long since. Python is fast up to here."""


class ParentStore:
    """A bounded memory of spans by trace id and span id."""

    def __init__(self, max_bytes: int, ttl_ns: int) -> None:
        """Remember spans for `ttl_ns`, or shorter where they would take more than `max_bytes`."""
        self.evicted = 0
        """Spans forgotten for want of room; those that grew old are not counted."""
        room = max_bytes // SPAN_BYTES
        slots = 1 << max(0, min(MAX_SLOTS, 2 * room).bit_length() - 1)
        self._heads = array.array("I", [0]) * slots
        self._mask = slots - 1
        self._chunk_spans = max(1, min(CHUNK_SPANS, room // MIN_CHUNKS))
        self._max_bytes = max_bytes
        self._ttl_ns = ttl_ns
        self._origins = OriginTable()
        self._chunks: collections.deque[Chunk] = collections.deque()
        self._first = 1
        """Number of the first chunk. A span's number is that of its chunk times the spans of one, plus its place."""
        self._low = self._reach = 0
        """Number of the first chunk's first span, and how many numbers there are from there on."""

    def remember(
        self, resource: bytes, spans: Spans, now_ns: int, peers: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Remember `spans`, which lie on `resource`. A span seen again replaces the former one.

        `peers` has, by span, the addresses that spans name.
        """
        packed = pack_spans(spans)
        halves, taken = packed.halves, 0
        chunk = self._open_chunk(now_ns)
        while taken < len(halves):
            if chunk.count == self._chunk_spans or chunk.origins.size_bytes > self._max_bytes // GENERATIONS:
                chunk = self._add_chunk(now_ns)
            part = halves[taken : taken + self._chunk_spans - chunk.count]
            stop = taken + len(part)
            self._enter(chunk, part)
            chunk.origin_numbers.extend(array.array("I", [chunk.origins.find(resource, b"")]) * len(part))
            if peers:
                self._name_peers(chunk, resource, peers, packed, range(taken, stop))
            at = chunk.count * PACKED_BYTES
            chunk.spans[at : at + len(part) * PACKED_BYTES] = packed.data[taken * PACKED_BYTES : stop * PACKED_BYTES]
            chunk.count += len(part)
            taken = stop
        self._evict()
        self._note_range()

    def find(self, key: bytes) -> Parent | None:
        """Return the span with the trace id and span id `key` (24 bytes): the one that waited, if several have it.

        Trace ids are compared by their right half where one of them has no other: B3 allows both widths, and a
        sender may shorten what it passes on.
        """
        return self.find_half(half_of(key), key)

    def find_half(self, half: bytes, trace_id: bytes) -> Parent | None:
        """Return the same of a key whose `half_of` is known; of `trace_id` the left half counts."""
        low, count = self._low, self._reach
        place = (self._heads[hash(half) & self._mask] - low) & _NUMBER_MASK
        if place >= count:
            return None
        chunks, size, left = self._chunks, self._chunk_spans, trace_id[:LEFT_BYTES]
        best: tuple[int, Chunk, int] | None = None
        for _ in range(MAX_STEPS):
            if place >= count:
                break
            chunk, inside = chunks[place // size], place % size
            if inside >= chunk.count:
                break
            rank = chunk.rank(half, left, inside)
            if rank >= 0 and (best is None or rank > best[0]):
                best = (rank, chunk, inside)
            if rank == BEST_RANK:
                break
            # Each leads to an earlier one; what does not is a number from long ago.
            place, count = (chunk.former[inside] - low) & _NUMBER_MASK, place
        return best[1].read(best[2]) if best is not None else None

    def list_known(self, trace_id: bytes, spans: list[NetworkSpan]) -> list[bytes]:
        """Return the ids of those of some spans that `find` finds in a trace; nearly always none, and soon said."""
        heads, mask, low, count = self._heads, self._mask, self._low, self._reach
        left = half_of(trace_id)  # of a trace id alone: what stands before the span id
        may_be = [s.span_id for s in spans if (heads[hash(left + s.span_id) & mask] - low) & _NUMBER_MASK < count]
        return [span_id for span_id in may_be if self.find(trace_id + span_id) is not None] if may_be else may_be

    def expire(self, now_ns: int) -> None:
        """Forget what is older than the time to live."""
        chunks = self._chunks
        while len(chunks) > 1 and chunks[1].born_ns + self._ttl_ns <= now_ns:
            self._drop_oldest()
        if len(chunks) == 1 and chunks[0].born_ns + self._ttl_ns * 2 <= now_ns:
            self._drop_oldest()

    @property
    def count(self) -> int:
        """Spans remembered; one that was seen twice may count twice."""
        return sum(chunk.count for chunk in self._chunks)

    @property
    def size_bytes(self) -> int:
        """Memory of the spans; the hash table, which is always there, is not in it."""
        return len(self._chunks) * self._chunk_spans * SPAN_BYTES + self._origins.size_bytes

    def _enter(self, chunk: Chunk, halves: list[bytes]) -> None:
        """Lead the spans' slots to them, and them to the former ones."""
        heads, mask, append = self._heads, self._mask, chunk.former.append
        number = chunk.first + chunk.count & _NUMBER_MASK
        for half in halves:
            slot = hash(half) & mask
            append(heads[slot])
            heads[slot] = number
            number += 1

    def _note_range(self) -> None:
        """Note which numbers there are, after that has changed."""
        first, last = self._first * self._chunk_spans, self._chunks[-1] if self._chunks else None
        self._low = first & _NUMBER_MASK
        self._reach = last.first + last.count - first if last is not None else 0

    def _name_peers(
        self, chunk: Chunk, resource: bytes, peers: Mapping[bytes, bytes], spans: PackedSpans, places: range
    ) -> None:
        for number, place in enumerate(places, chunk.count):
            key, kind, _, _ = spans[place]
            if key in peers and kind in CALLING_KINDS:
                chunk.origin_numbers[number] = chunk.origins.find(resource, peers[key])

    def _open_chunk(self, now_ns: int) -> Chunk:
        self.expire(now_ns)
        if self._chunks and now_ns - self._chunks[-1].born_ns < self._ttl_ns // GENERATIONS:
            return self._chunks[-1]
        return self._add_chunk(now_ns)

    def _add_chunk(self, now_ns: int) -> Chunk:
        number = (self._first + len(self._chunks)) * self._chunk_spans
        self._chunks.append(Chunk(number, now_ns, bytearray(self._chunk_spans * PACKED_BYTES), self._origins))
        self._evict()
        return self._chunks[-1]

    def _evict(self) -> None:
        while len(self._chunks) > 1 and self.size_bytes > self._max_bytes:
            self.evicted += self._chunks[0].count
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._chunks.popleft().origins.clear()
        self._first += 1
        self._note_range()
