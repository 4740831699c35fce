"""The kernel's record, mirrored: what the bytes of the ring and of the map of unfinished transits mean.

Pure. The one Python side of `struct transit` in bpf/record.h; a test compares names, offsets and sizes. The agent
sends what span_writer makes of it; `top`, exemplars and tests take the record apart with `decode_kernel_record`.
"""

import itertools
import struct
from typing import Final

from node_probe.context import read_context
from node_probe.transit import Direction, Point, Stamp, Transit, TransitFlag, Tunnel

VERSION = 1
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
EARLIER_SHIFT, FLAGS_MASK = 4, 0x0F
"""Of the byte that holds the flags: above them stands the number of earlier sendings, as in the wire's record."""

KIND_BYTES = 6
"""The first of a record: version, direction, points seen, flags, tunnel, number of contexts, which is 1."""

CONTEXT_OFFSET = _HEAD.size
RECORD_BYTES = CONTEXT_OFFSET + _CONTEXT.size
"""All of a record, which is also what a slot of the map of transits holds."""

_POINTS = tuple(Point)
_DIRECTIONS = frozenset(Direction)
_TUNNELS = frozenset(Tunnel)


class KernelRecordError(ValueError):
    """The bytes are not a record of the program that this agent loaded."""


def decode_kernel_record(data: bytes) -> Transit | None:
    """Return the transit of a record; None where its context is not sampled.

    The kernel lets those contexts through whose coded flag it cannot tell. Stamps are put in the order met. Interface
    indexes are as the kernel gave them, those of pod points counted within the pod's namespace. Raises
    KernelRecordError, or ContextError of the context's text.
    """
    check_kind(data[:KIND_BYTES], len(data))
    head = _HEAD.unpack_from(data)
    (_, direction, seen, flags, tunnel, _, client_port, server_port, _, seq, tsval, vni) = head[:12]
    text_format, coding, length, _, stream_id, text = _CONTEXT.unpack_from(data, CONTEXT_OFFSET)
    context = read_context(text_format, coding, text[:length])
    if not context.is_sampled:
        return None
    return Transit(
        context=context,
        direction=Direction(direction),
        seq=seq,
        tsval=tsval,
        client_port=client_port,
        server_port=server_port,
        client_address=head[12],
        server_address=head[13],
        stamps=read_stamps(seen, head[16:24], head[24:32]),
        tunnel=Tunnel(tunnel),
        flags=TransitFlag(flags & FLAGS_MASK),
        earlier=flags >> EARLIER_SHIFT,
        vni=vni,
        outer_source=head[14],
        outer_destination=head[15],
        stream_id=stream_id,
    )


def check_kind(kind: bytes, length: int) -> None:
    """Check the first KIND_BYTES of a record that has `length` bytes in all. Raises KernelRecordError."""
    if length != RECORD_BYTES:
        raise KernelRecordError(f"record has {length} bytes instead of {RECORD_BYTES}")
    version, direction, seen, _, tunnel, count = kind
    if version != VERSION:
        raise KernelRecordError(f"record version {version}, this agent knows {VERSION}")
    if count != 1:
        raise KernelRecordError(f"{count} contexts in a record, where one was expected")
    if not seen:
        raise KernelRecordError("record without a stamp")
    if direction not in _DIRECTIONS or tunnel not in _TUNNELS:
        raise KernelRecordError(f"direction {direction} and tunnel {tunnel} in a record")


def read_stamps(seen: int, monotonic_ns: tuple[int, ...], ifindexes: tuple[int, ...]) -> tuple[Stamp, ...]:
    """Return the valid stamps in the order met; bit (point - 1) of `seen` says which are."""
    stamps = [
        Stamp(point, ifindexes[point - 1], monotonic_ns[point - 1]) for point in _POINTS if seen >> (point - 1) & 1
    ]
    stamps.sort(key=_by_time)
    return tuple(stamps)


def _by_time(stamp: Stamp) -> int:
    return stamp.monotonic_ns
