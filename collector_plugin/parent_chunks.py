"""Application spans in the order in which they came, packed, and what each of them refers to.

Pure. A chunk is filled by the store, which knows when; read, it tells how well a span fits a key.
"""

import array

from collector_plugin.packed_spans import (
    HALF_PLACE,
    KIND_PLACE,
    PACKED_BYTES,
    TRACE_PLACE,
    unpack_parts,
)
from collector_plugin.parent import Parent
from collector_plugin.parent_origins import Origins, OriginTable
from collector_plugin.span_peers import CALLING_KINDS
from collector_plugin.span_walk import NO_LEFT

BEST_RANK = 3
"""Of a span that waited, and whose trace id is the same to the last bit."""


class Chunk:
    """Spans that came one after the other."""

    __slots__ = ("born_ns", "count", "first", "former", "origin_numbers", "origins", "spans")

    def __init__(self, first: int, born_ns: int, spans: bytearray, table: OriginTable) -> None:
        """Start without spans, with room for them in `spans`; `first` is the number of the first one."""
        self.first = first
        self.born_ns = born_ns
        self.spans = spans
        self.origin_numbers = array.array("I")
        self.former = array.array("I")
        """The number of the former span of each one's slot."""
        self.count = 0
        self.origins = Origins(table)

    def rank(self, half: bytes, left: bytes, place: int) -> int:
        """Return how well the span there fits right half and left half of a key; below 0 it is another."""
        spans, at = self.spans, place * PACKED_BYTES
        if not spans.startswith(half, at + HALF_PLACE):
            return -1
        waits = 2 * (spans[at + KIND_PLACE] in CALLING_KINDS)
        if spans.startswith(left, at + TRACE_PLACE):
            return waits + 1
        return waits if left == NO_LEFT or spans.startswith(NO_LEFT, at + TRACE_PLACE) else -1

    def read(self, place: int) -> Parent:
        """Return the span there."""
        trace_id, _, kind, start_ns, end_ns = unpack_parts(self.spans, place)
        kept, peer = self.origins.read(self.origin_numbers[place])
        return Parent(kept.resource, start_ns, end_ns, trace_id, kept.service, kind in CALLING_KINDS, peer)
