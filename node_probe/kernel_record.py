"""The kernel's record, mirrored: what the bytes of the ring and of the map of unfinished transits mean.

Pure. The one Python side of `struct transit` in bpf/record.h; a test compares names, offsets and sizes. The agent
sends what span_writer makes of it; `top`, exemplars and tests take the record apart with `decode_kernel_record`.
"""

import itertools
import struct
from typing import Final

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

Fields = tuple[tuple[str, str], ...]


def offset_of(fields: Fields, name: str) -> int:
    """Return where the field `name` lies in bytes that hold `fields`."""
    before = itertools.takewhile(lambda field: field[0] != name, fields)
    return struct.calcsize("=" + "".join(code for _, code in before))


_HEAD = struct.Struct("=" + "".join(code for _, code in RECORD_FIELDS))
_CONTEXT = struct.Struct("=" + "".join(code for _, code in CONTEXT_FIELDS))
KIND_BYTES = 6
"""The first of a record: version, direction, points seen, flags, tunnel, number of contexts."""

CONTEXT_OFFSET = _HEAD.size
CONTEXT_BYTES = _CONTEXT.size
RECORD_BYTES = CONTEXT_OFFSET + CONTEXT_BYTES
"""A record with one context, which is also the value of the map of unfinished transits."""

_POINTS = tuple(Point)
_DIRECTIONS = frozenset(Direction)
_TUNNELS = frozenset(Tunnel)


class KernelRecordError(ValueError):
    """The bytes are not a record of the program that this agent loaded."""


class KernelRecord(msgspec.Struct, frozen=True):
    """What one record says: a transit for each context that is sampled, an error for each that cannot be read."""

    transits: tuple[Transit, ...]
    bad_contexts: tuple[ContextError, ...]
    unsampled: int
    """Contexts that are not sampled: the kernel lets through those whose coded flag it cannot tell."""


def decode_kernel_record(data: bytes) -> KernelRecord:
    """Return the transits of a record.

    Stamps are put in the order met. Interface indexes are as the kernel gave them, those of pod points counted within
    the pod's namespace. Raises KernelRecordError.
    """
    check_kind(data[:KIND_BYTES], len(data))
    head = _HEAD.unpack_from(data)
    (_, direction, seen, flags, tunnel, count, client_port, server_port, _, seq, tsval, vni) = head[:12]
    stamps = _read_stamps(seen, head[16:24], head[24:32])
    transits: list[Transit] = []
    bad: list[ContextError] = []
    unsampled = 0
    for index in range(count):
        text_format, coding, length, _, stream_id, text = _CONTEXT.unpack_from(
            data, _HEAD.size + index * _CONTEXT.size
        )
        try:
            context = read_context(text_format, coding, text[:length])
        except ContextError as error:
            bad.append(error)
            continue
        if not context.is_sampled:
            unsampled += 1
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
            flags=TransitFlag(flags),
            vni=vni,
            outer_source=head[14],
            outer_destination=head[15],
            stream_id=stream_id,
        )
        transits.append(transit)
    return KernelRecord(tuple(transits), tuple(bad), unsampled)


def check_kind(kind: bytes, length: int) -> None:
    """Check the first KIND_BYTES of a record that has `length` bytes in all. Raises KernelRecordError."""
    if length < RECORD_BYTES:
        raise KernelRecordError(f"record has {length} bytes, at least {RECORD_BYTES} were expected")
    version, direction, seen, _, tunnel, count = kind
    if version != VERSION:
        raise KernelRecordError(f"record version {version}, this agent knows {VERSION}")
    if not 1 <= count <= CONTEXTS_MAX or length < CONTEXT_OFFSET + count * CONTEXT_BYTES:
        raise KernelRecordError(f"{count} contexts in a record of {length} bytes")
    if not seen:
        raise KernelRecordError("record without a stamp")
    if direction not in _DIRECTIONS or tunnel not in _TUNNELS:
        raise KernelRecordError(f"direction {direction} and tunnel {tunnel} in a record")


def split_contexts(data: bytes) -> list[bytes]:
    """Return the record once for each of its contexts, as if that were its only one. Raises KernelRecordError."""
    check_kind(data[:KIND_BYTES], len(data))
    head = data[: KIND_BYTES - 1] + b"\x01" + data[KIND_BYTES:CONTEXT_OFFSET]
    starts = range(CONTEXT_OFFSET, CONTEXT_OFFSET + data[KIND_BYTES - 1] * CONTEXT_BYTES, CONTEXT_BYTES)
    return [head + data[start : start + CONTEXT_BYTES] for start in starts]


def _read_stamps(seen: int, monotonic_ns: tuple[int, ...], ifindexes: tuple[int, ...]) -> tuple[Stamp, ...]:
    stamps = [
        Stamp(point, ifindexes[point - 1], monotonic_ns[point - 1]) for point in _POINTS if seen >> (point - 1) & 1
    ]
    stamps.sort(key=_by_time)
    return tuple(stamps)


def _by_time(stamp: Stamp) -> int:
    return stamp.monotonic_ns
