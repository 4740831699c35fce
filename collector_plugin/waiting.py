"""Transits whose parent was not seen yet: kept undecoded, by parent, for a window, bounded in number and bytes.

Pure: `now_ns` is a parameter. All transits that wait for one parent are one byte string. Where there is no room, the
source that has the most waiting loses its oldest: whoever floods, with whatever contexts, displaces himself.
"""

import itertools
import struct

import msgspec

from collector_plugin.halves import Origin
from collector_plugin.packed_spans import PackedSpans, half_of, join_half
from collector_plugin.places import PlaceTable
from collector_plugin.reasons import TransitReason
from collector_plugin.sources import SOURCES, find_source
from collector_plugin.span_walk import SPAN_ID_BYTES, TRACE_ID_BYTES
from node_probe.wire_batch import RawTransit
from node_probe.wire_record import HEAD_BYTES, STAMP_BYTES, read_message_key

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

_HEAD = struct.Struct("<QqIHB8s")
"""When it is due, the batch's epoch offset, its place, its source, trace flags, the left half of the trace id."""

_HEAD_BYTES = _HEAD.size

_DUE = struct.Struct("<Q")
_SAME_BATCH_BYTES = 16
"""Due and epoch offset, in which two reports of one packet may differ."""

_FIRST_STAMP_END = HEAD_BYTES + STAMP_BYTES
"""In a record. It is searched for before the whole, which takes twice as long; and not by `in`, which tries to read
bytes as a number first."""

_COUNT_PLACE = _HEAD.size + 3
"""Of the number of stamps, in a group from an entry's start on."""

_LEFT_BYTES = 8
_NO_LEFT = bytes(_LEFT_BYTES)
_MIN_BYTES = _HEAD.size + HEAD_BYTES + STAMP_BYTES
_EVICTED_PART = 64
"""At a time one in so many of a source's goes, so that looking for the fullest source costs each of them little."""


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """One transit of a group, as far as it is told without decoding it."""

    data: bytes
    due_ns: int
    epoch_offset_ns: int
    place: int
    source: int
    flags: int
    left: bytes


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

    def add(self, raw: RawTransit, origin: Origin, now_ns: int) -> TransitReason | None:
        """Let a transit wait, or return why it may not."""
        record, trace_id = raw.record, raw.trace_id
        right = join_half(trace_id, raw.parent_id)
        group = self._groups.get(right)
        if group is not None and len(group) >= MAX_PER_PARENT * _MIN_BYTES and _count(group) >= MAX_PER_PARENT:
            return TransitReason.PARENT_CAP
        place = self._places.take(origin.node, origin.interfaces)
        source = find_source(origin.node.name, record)
        head = _HEAD.pack(
            now_ns + self._window_ns, origin.epoch_offset_ns, place, source, raw.flags, trace_id[:_LEFT_BYTES]
        )
        data = head + record
        if group is None:
            self._groups[right] = data
            self._bytes += GROUP_BYTES
        elif group.find(record[HEAD_BYTES:_FIRST_STAMP_END]) >= 0 and group.find(data[_SAME_BATCH_BYTES:]) >= 0:
            self._places.release(place)
            return TransitReason.DUPLICATE
        else:
            self._groups[right] = group + data
        self._enter(right, source, len(data))
        return None

    def find_awaited(self, spans: PackedSpans) -> list[bytes]:
        """Return the keys of those spans that transits may wait for."""
        groups = self._groups
        return [spans[place][0] for place, half in enumerate(spans.halves) if half in groups] if groups else []

    def take(self, parent_key: bytes) -> list[tuple[RawTransit, Origin]]:
        """Remove and return the transits that wait for the parent (trace id and span id), which has come."""
        right, left = half_of(parent_key), parent_key[:_LEFT_BYTES]
        if right not in self._groups:
            return []
        trace_id, span_id, release = parent_key[:TRACE_ID_BYTES], parent_key[TRACE_ID_BYTES:], self._places.release
        taken: list[tuple[RawTransit, Origin]] = []
        others: list[_Entry] = []
        for entry in self._remove(right):
            own_left, own_id = entry.left, trace_id
            if own_left != left:
                # Of traces with different left halves each has its own parents; without one it is any's.
                if _NO_LEFT not in (left, own_left):
                    others.append(entry)
                    continue
                own_id = own_left + trace_id[_LEFT_BYTES:]
            place = release(entry.place)
            raw = RawTransit(entry.data[_HEAD_BYTES:], own_id, span_id, entry.flags)
            taken.append((raw, Origin(place.node, entry.epoch_offset_ns, place.interfaces)))
        if others:
            self._restore(right, others)
        return taken

    def pop_due(self, now_ns: int) -> int:
        """Release the transits that waited for a window, and what else waits of the same messages."""
        due: list[bytes] = []
        for right, group in self._groups.items():
            if _DUE.unpack_from(group)[0] > now_ns:
                break
            due.append(right)
        released = 0
        for right in due:
            entries = self._remove(right)
            keys = [_read_key(right, entry) for entry in entries]
            late = {key for key, entry in zip(keys, entries, strict=True) if entry.due_ns <= now_ns}
            # Filed anew, the rest may wait up to a window longer than it must.
            self._restore(right, [entry for key, entry in zip(keys, entries, strict=True) if key not in late])
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
        for right in list(itertools.islice(order, 1 + len(order) // _EVICTED_PART)):
            entries = self._remove(right)
            self._restore(right, [entry for entry in entries if entry.source != source])
            gone = [entry for entry in entries if entry.source == source]
            released += len(gone)
            self._forget(gone)
        return released

    def clear(self) -> int:
        """Release all."""
        released = self.count
        for right in list(self._groups):
            self._forget(self._remove(right))
        return released

    def _enter(self, right: bytes, source: int, size: int) -> None:
        self.count += 1
        self._counts[source] += 1
        order = self._orders[source]
        if order is None:
            self._orders[source] = {right: None}
        elif right in order:
            self._bytes += size
            return
        else:
            order[right] = None
        self._bytes += size + ORDER_BYTES

    def _remove(self, right: bytes) -> list[_Entry]:
        """Remove a group, and return what it held; places stay referred to."""
        group = self._groups.pop(right)
        entries = _split(group)
        counts, orders = self._counts, self._orders
        self.count -= len(entries)
        self._bytes -= GROUP_BYTES + len(group)
        for entry in entries:
            source = entry.source
            counts[source] -= 1
            order = orders[source]
            if order is not None and right in order:
                del order[right]
                self._bytes -= ORDER_BYTES
                if not order:
                    orders[source] = None
        return entries

    def _restore(self, right: bytes, entries: list[_Entry]) -> None:
        if not entries:
            return
        self._groups[right] = b"".join(entry.data for entry in entries)
        self._bytes += GROUP_BYTES
        for entry in entries:
            self._enter(right, entry.source, len(entry.data))

    def _forget(self, entries: list[_Entry]) -> None:
        for entry in entries:
            self._places.release(entry.place)


def _split(group: bytes) -> list[_Entry]:
    entries, start = [], 0
    while start < len(group):
        end = start + _MIN_BYTES + STAMP_BYTES * (group[start + _COUNT_PLACE] - 1)
        due_ns, offset_ns, place, source, flags, left = _HEAD.unpack_from(group, start)
        entries.append(_Entry(group[start:end], due_ns, offset_ns, place, source, flags, left))
        start = end
    return entries


def _count(group: bytes) -> int:
    count = start = 0
    while start < len(group):
        start += _MIN_BYTES + STAMP_BYTES * (group[start + _COUNT_PLACE] - 1)
        count += 1
    return count


def _read_key(right: bytes, entry: _Entry) -> bytes:
    return read_message_key(entry.data[_HEAD_BYTES:], entry.left + right[:_LEFT_BYTES], right[-SPAN_ID_BYTES:])
