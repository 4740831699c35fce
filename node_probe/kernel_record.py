"""The kernel's record, mirrored: bytes of the ring or of the map of unfinished transits -> transits.

Pure. The one Python side of `struct transit` in bpf/record.h; a test compares names, offsets and sizes.
"""

import struct
from typing import Any, Final

import msgspec

from node_probe.context import ContextError, read_context
from node_probe.transit import Direction, Point, Stamp, Transit, TransitFlag, Tunnel

VERSION = 1
CONTEXTS_MAX = 4
CONTEXT_TEXT_MAX = 64

RECORD_FIELDS: Final = (
    ("version", "B"),
    ("direction", "B"),
    ("seen", "B"),
    ("flags", "B"),
    ("tunnel", "B"),
    ("context_count", "B"),
    ("client_port", "H"),
    ("server_port", "H"),
    ("reserved", "H"),
    ("seq", "I"),
    ("tsval", "I"),
    ("vni", "I"),
    ("client_address", "16s"),
    ("server_address", "16s"),
    ("outer_source", "16s"),
    ("outer_destination", "16s"),
    ("monotonic_ns", "8Q"),
    ("ifindex", "8I"),
)
"""Name and struct code of each field of `struct transit` before `contexts`, in order and without gaps."""

CONTEXT_FIELDS: Final = (
    ("format", "B"),
    ("coding", "B"),
    ("length", "B"),
    ("reserved", "B"),
    ("stream_id", "I"),
    ("text", f"{CONTEXT_TEXT_MAX}s"),
)
"""The same for `struct context`."""

_HEAD = struct.Struct("=" + "".join(code for _, code in RECORD_FIELDS))
_CONTEXT = struct.Struct("=" + "".join(code for _, code in CONTEXT_FIELDS))
RECORD_BYTES = _HEAD.size + _CONTEXT.size
"""A record with one context, which is also the value of the map of unfinished transits."""

_POINTS = tuple(Point)
_DIRECTIONS = frozenset(Direction)
_TUNNELS = frozenset(Tunnel)


class KernelRecordError(ValueError):
    """The bytes are not a record of the program that this agent loaded."""


class KernelRecord(msgspec.Struct, frozen=True):
    """What one record says: a transit for each readable context, an error for each other."""

    transits: tuple[Transit, ...]
    bad_contexts: tuple[ContextError, ...]


def decode_kernel_record(data: bytes, extra_flags: int = 0) -> KernelRecord:
    """Return the transits of a record; `extra_flags` are added to the kernel's (a swept one is partial).

    Stamps are put in the order met. Interface indexes are as the kernel gave them, those of pod points counted within
    the pod's namespace. Raises KernelRecordError.
    """
    if len(data) < RECORD_BYTES:
        raise KernelRecordError(f"record has {len(data)} bytes, at least {RECORD_BYTES} were expected")
    head = _HEAD.unpack_from(data)
    _check_head(head, len(data))
    (_, direction, seen, flags, tunnel, count, client_port, server_port, _, seq, tsval, vni) = head[:12]
    stamps = _read_stamps(seen, head[16:24], head[24:32])
    transits: list[Transit] = []
    bad: list[ContextError] = []
    for index in range(count):
        text_format, coding, length, _, stream_id, text = _CONTEXT.unpack_from(
            data, _HEAD.size + index * _CONTEXT.size
        )
        try:
            context = read_context(text_format, coding, text[:length])
        except ContextError as error:
            bad.append(error)
            continue
        transit = Transit(
            context=context,
            direction=Direction(direction),
            seq=seq,
            tsval=tsval,
            client_port=client_port,
            server_port=server_port,
            client_address=head[12],
            server_address=head[13],
            stamps=stamps,
            tunnel=Tunnel(tunnel),
            flags=TransitFlag(flags | extra_flags),
            vni=vni,
            outer_source=head[14],
            outer_destination=head[15],
            stream_id=stream_id,
        )
        transits.append(transit)
    return KernelRecord(tuple(transits), tuple(bad))


def first_stamp_ns(data: bytes) -> int:
    """Return when the record's packet met its first point, CLOCK_MONOTONIC; the least of its valid stamps."""
    head = _HEAD.unpack_from(data)
    return min((ns for point, ns in enumerate(head[16:24]) if head[2] >> point & 1), default=0)


def _check_head(head: tuple[Any, ...], length: int) -> None:
    version, direction, seen, _, tunnel, count = head[:6]
    if version != VERSION:
        raise KernelRecordError(f"record version {version}, this agent knows {VERSION}")
    if not 1 <= count <= CONTEXTS_MAX or length < _HEAD.size + count * _CONTEXT.size:
        raise KernelRecordError(f"{count} contexts in a record of {length} bytes")
    if not seen:
        raise KernelRecordError("record without a stamp")
    if direction not in _DIRECTIONS or tunnel not in _TUNNELS:
        raise KernelRecordError(f"direction {direction} and tunnel {tunnel} in a record")


def _read_stamps(seen: int, monotonic_ns: tuple[int, ...], ifindexes: tuple[int, ...]) -> tuple[Stamp, ...]:
    stamps = [
        Stamp(point, ifindexes[point - 1], monotonic_ns[point - 1]) for point in _POINTS if seen >> (point - 1) & 1
    ]
    stamps.sort(key=_by_time)
    return tuple(stamps)


def _by_time(stamp: Stamp) -> int:
    return stamp.monotonic_ns
