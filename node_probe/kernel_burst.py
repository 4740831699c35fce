"""What the kernel tells of a burst of TLS, mirrored: the record of a transit without a context -> Burst.

Pure. The one Python side of `struct burst` in bpf/record.h, which stands where other records have their context's
text; a test compares names, offsets and sizes. Who is the client is not known: addresses are source and destination.
"""

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

from node_probe.kernel_record import (
    CONTEXT_FIELDS,
    CONTEXT_OFFSET,
    FLAGS_MASK,
    KIND_BYTES,
    RECORD_FIELDS,
    KernelRecordError,
    check_kind,
    offset_of,
    read_stamps,
)
from node_probe.transit import ContextFormat, Stamp, TransitFlag, Tunnel

BURST_FIELDS: Final = (
    ("kind", "B"),
    ("place", "B"),
    ("number", "H"),
    ("previous_followers", "I"),
    ("previous_last_ns", "Q"),
    ("records", "4H"),
    ("ack", "I"),
    ("payload_length", "I"),
)
"""Name and struct code of each field of `struct burst`, in order and without gaps."""

BURST_OFFSET: Final = CONTEXT_OFFSET + offset_of(CONTEXT_FIELDS, "text")
"""Where it begins in the record."""

_HEAD = struct.Struct("=" + "".join(code for _, code in RECORD_FIELDS))
_BURST = struct.Struct("=" + "".join(code for _, code in BURST_FIELDS))
_FORMAT_AT = CONTEXT_OFFSET + offset_of(CONTEXT_FIELDS, "format")
_FLOW = int(ContextFormat.FLOW)
_FOLLOWER = b"\x02"


class BurstPlace(IntEnum):
    """Where a burst stands in its direction."""

    AMID = 0
    BEHIND_HANDSHAKE = 1
    """Nothing acknowledged more than the handshake before it, so it may still be of that, or the first behind it."""
    BEHIND_HANDSHAKE_1_2 = 2
    """The same, and if the direction is a server's, that was TLS 1.2 or older."""


class BurstKind(IntEnum):
    """Why the kernel tells of a segment."""

    START = 1
    """It is the first of its burst, so a message begins with it."""
    FOLLOWER = 2
    """It is the first behind that one which begins with a record: another message may begin with it."""


_KINDS, _PLACES = frozenset(BurstKind), frozenset(BurstPlace)


class Burst(msgspec.Struct, frozen=True, gc=False):
    """A segment that begins with a record of TLS, with its stamps on one node in the order met."""

    kind: BurstKind
    place: BurstPlace
    number: int
    """Of the burst in its direction, modulo 2^16; those that were not handed out have one too."""
    previous_followers: int
    """Segments of the burst before this one, behind its first, that began with a record."""
    previous_last_ns: int
    """CLOCK_MONOTONIC of the last segment of the burst before that began with a record; 0 where it is not known."""
    records: tuple[int, ...]
    """Lengths of the records that begin in the segment: of the first four, as far as they could be walked."""
    ack: int
    payload_length: int
    seq: int
    """TCP sequence number of the burst's first byte, for a follower too."""
    tsval: int
    source_port: int
    destination_port: int
    source_address: bytes
    destination_address: bytes
    """As at the first point of the node."""
    stamps: tuple[Stamp, ...]
    """Of a follower the first point's alone."""
    tunnel: Tunnel
    flags: TransitFlag
    vni: int
    outer_source: bytes
    outer_destination: bytes


def is_burst(record: bytes) -> bool:
    """Return whether the kernel's record is that of a burst: one without a context, which a span has to claim."""
    return len(record) > _FORMAT_AT and record[_FORMAT_AT] == _FLOW


def divide_bursts(records: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the kernel's records that are of bursts, and all others."""
    bursts: list[bytes] = []
    others: list[bytes] = []
    for record in records:
        (bursts if is_burst(record) else others).append(record)
    return bursts, others


def is_follower(record: bytes) -> bool:
    """Return whether the kernel's record tells that a burst has a follower, which is no message for sure."""
    return is_burst(record) and record[BURST_OFFSET : BURST_OFFSET + 1] == _FOLLOWER


def decode_burst(data: bytes) -> Burst | None:
    """Return the burst of a record; None where the record has a context. Raises KernelRecordError."""
    check_kind(data[:KIND_BYTES], len(data))
    if not is_burst(data):
        return None
    kind, place, number, followers, last_ns, *records, ack, payload_length = _BURST.unpack_from(data, BURST_OFFSET)
    if kind not in _KINDS:
        raise KernelRecordError(f"burst of kind {kind} in a record")
    if place not in _PLACES:
        raise KernelRecordError(f"burst at place {place} in a record")
    head = _HEAD.unpack_from(data)
    (_, _, seen, flags, tunnel, _, source_port, destination_port, _, seq, tsval, vni) = head[:12]
    return Burst(
        kind=BurstKind(kind),
        place=BurstPlace(place),
        number=number,
        previous_followers=followers,
        previous_last_ns=last_ns,
        records=tuple(length for length in records if length),
        ack=ack,
        payload_length=payload_length,
        seq=seq,
        tsval=tsval,
        source_port=source_port,
        destination_port=destination_port,
        source_address=head[12],
        destination_address=head[13],
        stamps=read_stamps(seen, head[16:24], head[24:32]),
        tunnel=Tunnel(tunnel),
        flags=TransitFlag(flags & FLAGS_MASK),
        vni=vni,
        outer_source=head[14],
        outer_destination=head[15],
    )
