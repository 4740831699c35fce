"""The packed form of a burst that is kept: the kernel's record -> an entry of 44 bytes or so, and back to KeptBurst.

Pure. An entry has what the matchers judge by, and the stamps; what many have in common (points, interfaces, tunnel)
is a shape, which the entry names by its number in the direction.
"""

import struct
from collections.abc import Callable

import msgspec

from node_probe.kernel_burst import BURST_FIELDS, BURST_OFFSET, BurstKind, BurstPlace
from node_probe.kernel_record import KIND_BYTES, RECORD_BYTES, RECORD_FIELDS, KernelRecordError, check_kind, offset_of
from node_probe.transit import Point

_ENTRY = struct.Struct("<QIIIIHHBBB")
"""First stamp in ns, sequence number, TSval, acknowledgement, us since the burst before, bytes of payload, number,
bits, followers of the burst before, shape. Behind it stand the other stamps."""

_SINCE_FIRST = "i"
"""Another stamp, as ns since the first one: what is under way for a second is swept."""

ENTRY_BYTES, STAMP_BYTES = _ENTRY.size, struct.calcsize(f"<{_SINCE_FIRST}")
SEQ_AT, BITS_AT, SHAPE_AT = 8, ENTRY_BYTES - 3, ENTRY_BYTES - 1
"""Of sequence number and TSval, one behind the other, by which a far side names a packet; of bits; of the shape."""

MAX_SHAPES = 1 << 8

MAX_PAYLOAD = 0xFFFF
"""Longer ones count as this, and then no rule takes it for a length."""

FOLLOWED, FOLLOWER = 1, 2
_AFTER_HANDSHAKE, _COMPLETE, _ALIKE, _SEVERAL, _AFTER_HANDSHAKE_1_2 = 4, 8, 16, 32, 64

TICKET_SPREAD = 32
"""By how much the lengths of one handshake's session tickets may differ. OpenSSL pads a ticket to whole blocks of 16
bytes, and a random number of variable length is in it."""

_MAX_US, _MAX_FOLLOWERS = 0xFFFF_FFFF, 0xFF
_NS_PER_US = 1000
_RECORD_HEADER_BYTES = 5
"""Of TLS: type, version, length."""

_read_ids = struct.Struct(f"={offset_of(RECORD_FIELDS, 'seq')}xII").unpack_from
_read_place = struct.Struct(f"={offset_of(RECORD_FIELDS, 'vni')}x4s32x32s").unpack_from
_read_burst = struct.Struct(f"={BURST_OFFSET}x" + "".join(code for _, code in BURST_FIELDS)).unpack_from

Shape = tuple[bytes, tuple[int, ...], bytes, bytes]
"""The first KIND_BYTES of the record, the interfaces as the kernel gave them, VNI, both outer addresses."""


class KeptBurst(msgspec.Struct, frozen=True, gc=False):
    """What an entry tells to the matchers."""

    first_ns: int
    seq: int
    tsval: int
    ack: int
    previous_last_ns: int
    """At or after the last record of the burst before; as late as `first_ns` where that is not known."""
    payload_length: int
    number: int
    previous_followers: int
    """255 where there were more."""
    bits: int

    @property
    def end(self) -> int | None:
        """Return the sequence number behind the segment; None where its payload was too long to be kept."""
        return (self.seq + self.payload_length) & 0xFFFF_FFFF if self.payload_length < MAX_PAYLOAD else None

    @property
    def is_follower(self) -> bool:
        """Return whether this is no burst, but tells when its burst was first followed, and `seq` is the burst's."""
        return bool(self.bits & FOLLOWER)

    @property
    def is_followed(self) -> bool:
        """Return whether the burst is known to go on with a segment that begins with a record."""
        return bool(self.bits & FOLLOWED)

    @property
    def is_after_handshake(self) -> bool:
        """Return whether it may be the first behind the handshake, in its direction, or still of that."""
        return bool(self.bits & _AFTER_HANDSHAKE)

    @property
    def is_after_handshake_1_2(self) -> bool:
        """Return whether that was of TLS 1.2 or older, if the direction is a server's: then it is no ticket."""
        return bool(self.bits & _AFTER_HANDSHAKE_1_2)

    @property
    def is_complete(self) -> bool:
        """Return whether the last record ends with the segment, so that what follows begins with a record."""
        return bool(self.bits & _COMPLETE)

    @property
    def is_one_record(self) -> bool:
        """Return whether one record begins in the segment, and no more."""
        return not self.bits & _SEVERAL

    @property
    def has_alike_records(self) -> bool:
        """Return whether all records that begin in the segment have nearly one length, as session tickets do."""
        return bool(self.bits & _ALIKE)


def read_entry(data: bytes | bytearray, offset: int = 0) -> KeptBurst:
    """Return the burst of the entry at `offset`."""
    first_ns, seq, tsval, ack, since_us, length, number, bits, followers, _ = _ENTRY.unpack_from(data, offset)
    return KeptBurst(first_ns, seq, tsval, ack, first_ns - since_us * _NS_PER_US, length, number, followers, bits)


def read_times(entry: bytes, count: int) -> list[int]:
    """Return the `count` stamps of an entry, in the order of points."""
    (first_ns,) = struct.unpack_from("<Q", entry)
    return [
        first_ns,
        *(first_ns + ns for ns in struct.unpack_from("<" + _SINCE_FIRST * (count - 1), entry, ENTRY_BYTES)),
    ]


class EntryWriter:
    """Makes entries of the kernel's records. Used by one thread."""

    def __init__(self) -> None:
        """Begin with no kind of record known: there are some ten."""
        self._kinds: dict[bytes, _Kind] = {}

    def read_shape(self, record: bytes) -> Shape:
        """Return the shape of a record. Raises KernelRecordError."""
        kind = record[:KIND_BYTES]
        found = self._kinds.get(kind)
        if found is None or len(record) != RECORD_BYTES:
            check_kind(kind, len(record))
            found = self._kinds[kind] = _Kind(kind)
        return (kind, found.read_ifindexes(record), *_read_place(record))

    def write(self, record: bytes, shape: int) -> bytes:
        """Return the entry of a record whose shape was read. Raises KernelRecordError."""
        kind = self._kinds[record[:KIND_BYTES]]
        first_ns, *others = kind.read_times(record)
        seq, tsval = _read_ids(record)
        why, place, number, followers, last_ns, one, two, three, four, ack, length = _read_burst(record)
        bits = _judge_records((one, two, three, four), length) if two else _judge_record(one, length)
        if place:
            bits |= _AFTER_HANDSHAKE
            bits |= _AFTER_HANDSHAKE_1_2 * (place == BurstPlace.BEHIND_HANDSHAKE_1_2)
        if why != BurstKind.START:
            if why != BurstKind.FOLLOWER:
                raise KernelRecordError(f"burst of kind {why} in a record")
            bits |= FOLLOWER
        since_us = min((first_ns - last_ns) // _NS_PER_US, _MAX_US) if 0 < last_ns <= first_ns else 0
        # fmt: off
        head = _ENTRY.pack(
            first_ns, seq, tsval, ack, since_us, min(length, MAX_PAYLOAD), number,
            bits, min(followers, _MAX_FOLLOWERS), shape,
        )
        # fmt: on
        try:
            return head + kind.pack_others(*[other - first_ns for other in others])
        except struct.error as error:
            raise KernelRecordError("stamps of one packet lie more than two seconds apart") from error


class _Kind:
    """How records are read that begin with the same KIND_BYTES."""

    __slots__ = ("pack_others", "read_ifindexes", "read_times")

    def __init__(self, kind: bytes) -> None:
        seen = [bool(kind[2] >> (point - 1) & 1) for point in Point]
        self.read_times = _read_seen("monotonic_ns", seen, "Q", "8x")
        self.read_ifindexes = _read_seen("ifindex", seen, "I", "4x")
        self.pack_others = struct.Struct("<" + _SINCE_FIRST * (sum(seen) - 1)).pack


def _read_seen(field: str, seen: list[bool], code: str, skip: str) -> Callable[[bytes], tuple[int, ...]]:
    codes = "".join(code if is_seen else skip for is_seen in seen)
    return struct.Struct(f"={offset_of(RECORD_FIELDS, field)}x{codes}").unpack_from


def _judge_record(length: int, payload_length: int) -> int:
    return _ALIKE | _COMPLETE * (length + _RECORD_HEADER_BYTES == payload_length)


def _judge_records(records: tuple[int, ...], payload_length: int) -> int:
    lengths = [length for length in records if length]
    bits = _SEVERAL | _ALIKE * (max(lengths) - min(lengths) <= TICKET_SPREAD)
    return bits | _COMPLETE * (sum(lengths) + len(lengths) * _RECORD_HEADER_BYTES == payload_length)
