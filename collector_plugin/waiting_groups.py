"""The transits that wait for one parent, in one byte string: undecoded, each behind a head of its own.

Pure. So a transit that waits needs no object, and those of one parent share the place in a dict.
"""

import struct

from collector_plugin.span_walk import LEFT_BYTES, SPAN_ID_BYTES
from node_probe.wire_record import HEAD_BYTES, STAMP_BYTES, read_message_key

_HEAD = struct.Struct("<QqIHB8s")
_LEFT_PLACE = _HEAD.size - LEFT_BYTES
_DUE = struct.Struct("<Q")

_SAME_BATCH_BYTES = 16
"""Due and epoch offset, in which two reports of one packet may differ."""

_FIRST_STAMP, _FIRST_STAMP_END = _HEAD.size + HEAD_BYTES, _HEAD.size + HEAD_BYTES + STAMP_BYTES
"""It is searched for before the whole, which takes twice as long; and not by `in`, which tries to read bytes as a
number first."""

_COUNT_PLACE = _HEAD.size + 3
"""Of the number of stamps, from an entry's start on."""

MIN_BYTES = _FIRST_STAMP_END
"""What a transit takes at least."""

Head = tuple[int, int, int, int, int, bytes]
"""When a transit is due, the batch's epoch offset, its place, its source, trace flags, the trace id's left half. A
tuple, as below: there are many."""

Entry = tuple[int, int, int, int, int, bytes, bytes]
"""One transit of a group: its head, and its record behind that."""

pack_head = _HEAD.pack
"""Returns the bytes of the values of a Head, behind which stands the record."""


def pack_entry(entry: Entry) -> bytes:
    """Return a group of one transit."""
    return _HEAD.pack(*entry[:-1]) + entry[-1]


def split_group(group: bytes) -> list[Entry]:
    """Return the transits of a group in their order."""
    entries: list[Entry] = []
    start, size, unpack_head = 0, len(group), _HEAD.unpack_from
    while start < size:
        end = start + MIN_BYTES + STAMP_BYTES * (group[start + _COUNT_PLACE] - 1)
        entries.append((*unpack_head(group, start), group[start + _HEAD.size : end]))
        start = end
    return entries


def count_entries(group: bytes) -> int:
    """Return how many transits a group has."""
    count = start = 0
    while start < len(group):
        start += MIN_BYTES + STAMP_BYTES * (group[start + _COUNT_PLACE] - 1)
        count += 1
    return count


def has_entry(group: bytes, packed: bytes) -> bool:
    """Tell whether a group has the transit that `packed` is of, whenever it was reported."""
    return group.find(packed[_FIRST_STAMP:_FIRST_STAMP_END]) >= 0 and group.find(packed[_SAME_BATCH_BYTES:]) >= 0


def begins_with(group: bytes, trace_id: bytes) -> bool:
    """Tell whether a group's first transit has the left half of a trace id."""
    return group.startswith(trace_id[:LEFT_BYTES], _LEFT_PLACE)


def read_due(group: bytes) -> int:
    """Return when a group's first transit is due."""
    due_ns: int = _DUE.unpack_from(group)[0]
    return due_ns


def read_key(right: bytes, entry: Entry) -> bytes:
    """Return the message key of a transit; `right` is what its group is looked up by."""
    *_, left, record = entry
    return read_message_key(record, left + right[:LEFT_BYTES], right[-SPAN_ID_BYTES:])
