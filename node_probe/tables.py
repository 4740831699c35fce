"""The kernel's tables, mirrored: how many transits and exchanges they hold, and in which slots.

Reads the maps of tags that bpf/table.h lays out: eight tags for each index, 0 where the way is free.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from node_probe.bpf import BpfMap
from node_probe.kernel_record import RECORD_BYTES

TRANSITS_MAX: Final = 32768
EXCHANGES_MAX: Final = 65536
UNFINISHED_MAX: Final = 256
FOLLOWED_MAX: Final = 1024
DIRECTIONS_MAX: Final = 16384
WAYS: Final = 8
"""As in bpf/limits.h; a test compares them."""

KEY_BYTES: Final = 16
"""Size of `struct transit_key`, which stands before the record in each slot."""

SLOT_BYTES: Final = KEY_BYTES + RECORD_BYTES + 24
"""Size of `struct transit_slot`: behind the record stand whether the slot is in use, and what is awaited."""

_tags = struct.Struct(f"={WAYS}Q")
SET_BYTES: Final = _tags.size

_HASH_SHIFT = 33
"""TAG_HASH_SHIFT in bpf/table.h: below it the tag of a way that is being filled has bits, above it none."""


class Table(NamedTuple):
    """A table of the kernel."""

    tags: str
    """The map that holds its tags, in the first bytes of each value."""
    set_bytes: int
    """Size of a value."""
    size: int
    """How many entries it has room for."""


TABLES: Final = {
    "transits": Table("transit_tags", SET_BYTES, TRANSITS_MAX),
    "exchanges": Table("exchange_tags", SET_BYTES, EXCHANGES_MAX),
    "unfinished": Table("unfinished_tags", SET_BYTES, UNFINISHED_MAX),
    "followed": Table("followed_tags", SET_BYTES, FOLLOWED_MAX),
    "directions": Table("direction_tags", SET_BYTES, DIRECTIONS_MAX),
}
"""The tables, by the names that users see; the last one is there only where flows are followed."""


def count_used(tags: BpfMap) -> int:
    """Return how many ways of a table are in use."""
    return sum(1 for _ in _used_tags(tags))


def transit_slots(tags: BpfMap) -> Iterator[int]:
    """Yield the slots of the transits under way."""
    return (tag % TRANSITS_MAX for tag in _used_tags(tags))


def _used_tags(tags: BpfMap) -> Iterator[int]:
    for _, data in tags.items():  # noqa: PERF102 - a map of the kernel has no `values`
        if any(data):
            yield from (tag for tag in _tags.unpack_from(data) if tag >> _HASH_SHIFT)
