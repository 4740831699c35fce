"""Transits whose parent was not seen yet: kept undecoded, by parent, for a window, bounded in number and bytes.

Pure: `now_ns` is a parameter. Where there is no room, the source that has the most waiting loses its oldest: whoever
floods, with whatever contexts, displaces himself.
"""

import itertools
from typing import Final

from collector_plugin.halves import Origin
from collector_plugin.packed_spans import PackedSpans, half_of
from collector_plugin.places import PlaceTable
from collector_plugin.reasons import TransitReason
from collector_plugin.sources import SOURCES, find_source
from collector_plugin.span_walk import LEFT_BYTES, NO_LEFT, TRACE_ID_BYTES
from collector_plugin.waiting_groups import (
    MIN_BYTES,
    Entry,
    begins_with,
    count_entries,
    has_entry,
    pack_entry,
    pack_head,
    read_due,
    read_key,
    split_group,
)
from node_probe.wire_batch import RawTransit

MAX_TRANSITS = 250_000
"""Transits that wait: 25 s of 10,000 a second, five times what SDKs take to send their spans."""

MAX_TRANSIT_BYTES = 96 << 20
"""What they may take; with the usual four stamps each its own parent, about the number above."""

MAX_PER_PARENT = 112
"""Transits that wait for one parent, as many as a span may have network spans."""

GROUP_BYTES = 140
"""What a parent that is waited for takes, measured: its key, a dict's place, the string's head."""

ORDER_BYTES = 45
"""What it takes for each source that its transits come from, measured: a dict's place."""

_PLACE: Final = 2
_SOURCE: Final = 3
"""Of an Entry."""

_EVICTED_PART = 64
"""At a time one in so many of a source's goes, so that looking for the fullest source costs each of them little."""


class WaitingTransits:
    """The transits by parent, and by source in the order in which they came."""

    def __init__(self, window_ns: int) -> None:
        """Let each transit wait for `window_ns`."""
        self.count = 0
        self._window_ns = window_ns
        self._bytes = 0
        self._places = PlaceTable()
        self._groups: dict[bytes, bytes] = {}
        self._counts = [0] * SOURCES
        self._orders: list[dict[bytes, None] | None] = [None] * SOURCES

    @property
    def size_bytes(self) -> int:
        """Return the memory that they take, estimated."""
        return self._bytes + self._places.size_bytes

    @property
    def is_over_full(self) -> bool:
        """Tell whether more wait than may."""
        return self.count > MAX_TRANSITS or self._bytes + self._places.size_bytes > MAX_TRANSIT_BYTES

    def awaits(self, half: bytes, trace_id: bytes) -> bool:
        """Tell whether it is clear that a parent has not come: something waits for it, and is taken when it comes."""
        group = self._groups.get(half)
        return group is not None and begins_with(group, trace_id)

    def add(self, raw: RawTransit, half: bytes, origin: Origin, now_ns: int) -> TransitReason | None:
        """Let a transit wait, or return why it may not; `half` is what `half_of` returns of its parent's key."""
        record = raw.record
        group = self._groups.get(half)
        if group is not None and len(group) >= MAX_PER_PARENT * MIN_BYTES and count_entries(group) >= MAX_PER_PARENT:
            return TransitReason.PARENT_CAP
        place = self._places.take(origin.place)
        source = find_source(origin.place.node.name, record)
        left = raw.trace_id[:LEFT_BYTES]
        due_ns = now_ns + self._window_ns
        packed = pack_head(due_ns, origin.epoch_offset_ns, place, source, raw.flags, left) + record
        if group is None:
            self._groups[half] = packed
            self._bytes += GROUP_BYTES
        elif has_entry(group, packed):
            self._places.release(place)
            return TransitReason.DUPLICATE
        else:
            self._groups[half] = group + packed
        self._enter(half, source, len(packed))
        return None

    def find_awaited(self, spans: PackedSpans) -> list[bytes]:
        """Return the keys of those spans that transits may wait for."""
        groups = self._groups
        return [spans[place][0] for place, half in enumerate(spans.halves) if half in groups] if groups else []

    def take(self, parent_key: bytes) -> list[tuple[RawTransit, Origin]]:
        """Remove and return the transits that wait for the parent (trace id and span id), which has come."""
        half, left = half_of(parent_key), parent_key[:LEFT_BYTES]
        if half not in self._groups:
            return []
        trace_id, span_id, release = parent_key[:TRACE_ID_BYTES], parent_key[TRACE_ID_BYTES:], self._places.release
        taken: list[tuple[RawTransit, Origin]] = []
        others: list[Entry] = []
        for entry in self._remove(half):
            _, offset_ns, number, _, flags, own_left, record = entry
            own_id = trace_id
            if own_left != left:
                # Of traces with different left halves each has its own parents; without one it is any's.
                if NO_LEFT not in (left, own_left):
                    others.append(entry)
                    continue
                own_id = own_left + trace_id[LEFT_BYTES:]
            taken.append((RawTransit(record, own_id, span_id, flags), Origin(release(number), offset_ns)))
        if others:
            self._restore(half, others)
        return taken

    def pop_due(self, now_ns: int) -> int:
        """Release the transits that waited for a window, and what else waits of the same messages."""
        due: list[bytes] = []
        for half, group in self._groups.items():
            if read_due(group) > now_ns:
                break
            due.append(half)
        released = 0
        for half in due:
            entries = self._remove(half)
            keys = [read_key(half, entry) for entry in entries]
            late = {key for key, (due_ns, *_) in zip(keys, entries, strict=True) if due_ns <= now_ns}
            # Filed anew, the rest may wait up to a window longer than it must.
            self._restore(half, [entry for key, entry in zip(keys, entries, strict=True) if key not in late])
            gone = [entry for key, entry in zip(keys, entries, strict=True) if key in late]
            released += len(gone)
            self._forget(gone)
        return released

    def evict(self) -> int:
        """Release the oldest of the source that has most; return how many transits that were."""
        source = self._counts.index(max(self._counts))
        order = self._orders[source]
        if not order:
            return 0
        released = 0
        for half in list(itertools.islice(order, 1 + len(order) // _EVICTED_PART)):
            entries = self._remove(half)
            self._restore(half, [entry for entry in entries if entry[_SOURCE] != source])
            gone = [entry for entry in entries if entry[_SOURCE] == source]
            released += len(gone)
            self._forget(gone)
        return released

    def clear(self) -> int:
        """Release all."""
        released = self.count
        for half in list(self._groups):
            self._forget(self._remove(half))
        return released

    def _enter(self, half: bytes, source: int, size: int) -> None:
        self.count += 1
        self._counts[source] += 1
        order = self._orders[source]
        if order is None:
            self._orders[source] = {half: None}
        elif half in order:
            self._bytes += size
            return
        else:
            order[half] = None
        self._bytes += size + ORDER_BYTES

    def _remove(self, half: bytes) -> list[Entry]:
        """Remove a group, and return what it held; places stay referred to."""
        group = self._groups.pop(half)
        entries = split_group(group)
        counts, orders = self._counts, self._orders
        self.count -= len(entries)
        self._bytes -= GROUP_BYTES + len(group)
        for entry in entries:
            source = entry[_SOURCE]
            counts[source] -= 1
            order = orders[source]
            if order is not None and half in order:
                del order[half]
                self._bytes -= ORDER_BYTES
                if not order:
                    orders[source] = None
        return entries

    def _restore(self, half: bytes, entries: list[Entry]) -> None:
        if not entries:
            return
        packed = [pack_entry(entry) for entry in entries]
        self._groups[half] = b"".join(packed)
        self._bytes += GROUP_BYTES
        for entry, data in zip(entries, packed, strict=True):
            self._enter(half, entry[_SOURCE], len(data))

    def _forget(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._places.release(entry[_PLACE])
