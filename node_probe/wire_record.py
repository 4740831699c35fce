"""The transit record on the wire: the bytes of the span attribute `hopspan.record`, encoded and decoded.

Pure. Little-endian; layout version 1. A later version may append bytes: a reader of version 1 ignores them.

    offset size field                      offset size field
    0      1    version                    48     1    tunnel
    1      1    direction                  49     1    flags; in its upper half: earlier sendings
    2      1    context format             50     2    reserved, 0
    3      1    n, number of stamps        52     4    VNI
    4      4    TCP sequence number        56     16   outer source
    8      4    TSval                      72     16   outer destination
    12     2    client port                88     4    HTTP/2 stream id
    14     2    server port                92     4    reserved, 0
    16     16   client address             96     16   per stamp: point 1, zeros 3, ifindex 4, stamp ns 8
    32     16   server address
"""

import functools
import struct

from node_probe.transit import (
    SPAN_ID_BYTES,
    TRACE_ID_BYTES,
    Context,
    ContextFormat,
    Direction,
    Point,
    Stamp,
    Transit,
    TransitFlag,
    Tunnel,
)

SCOPE = "node_probe"
SPAN_NAME = "overlay-transit"
RECORD_KEY = "hopspan.record"
SERVICE_NAME = "node-probe"

VERSION = 1
MAX_STAMPS = len(Point)
"""A packet meets each point of a node at most once."""

_HEAD = struct.Struct("<BBBBIIHH16s16sBBHI16s16sII")
_STAMP = struct.Struct("<B3xIQ")
HEAD_BYTES = _HEAD.size
STAMP_BYTES = _STAMP.size
_COUNT_OFFSET = 3
"""Of n; read_message_key has the offsets of what it takes."""

_EARLIER_SHIFT, _FLAGS_MASK = 4, 0x0F
"""Of the byte that holds the flags."""

_KEY = struct.Struct("<x1s2x10s2x16s56x4s")
"""What of the message key a record holds: direction, from seq to client port, client address, stream."""

_SHAPES = tuple(struct.Struct("<xH45x40s8x" + "Q8x" * count) for count in range(MAX_STAMPS + 1))
_TIMES = tuple(struct.Struct(f"<{HEAD_BYTES}x" + "8xQ" * count) for count in range(MAX_STAMPS + 1))
"""By the number of stamps, shape and times as split_record returns them: one call reads all of either."""

Shape = tuple[int | bytes, ...]
"""What many records share. Numbers where they may be: as a key they cost half of what bytes do."""

_SHAPE_HEAD = 2
"""Its values before those of the stamps."""

_ENDS_START, _ENDS_END = 12, 48
"""Of ports and addresses."""

ENDPOINTS = struct.Struct("<HH16s16s")
"""Client port, server port, client address, server address."""

_ENDS = tuple(
    struct.Struct(f"<{HEAD_BYTES}xB7xQ" + (f"{(count - 2) * STAMP_BYTES}xB7xQ" if count > 1 else ""))
    for count in range(MAX_STAMPS + 1)
)

# Looking a member up takes a third of the time of making it.
_POINTS = {int(point): point for point in Point}
_find_format, _find_direction = functools.cache(ContextFormat), functools.cache(Direction)
_find_tunnel, _find_flags = functools.cache(Tunnel), functools.cache(TransitFlag)
_NO_TRACE_ID, _NO_SPAN_ID = bytes(TRACE_ID_BYTES), bytes(SPAN_ID_BYTES)


class RecordError(ValueError):
    """The bytes are not a record of version 1; the text names what was wrong."""


class RecordVersionError(RecordError):
    """The record has a version that this reader does not know."""


def encode_record(transit: Transit) -> bytes:
    """Return the wire record of `transit`: 96 bytes and 16 for each stamp. The context's ids are not part of it."""
    head = _HEAD.pack(
        VERSION,
        transit.direction,
        transit.context.format,
        len(transit.stamps),
        transit.seq,
        transit.tsval,
        transit.client_port,
        transit.server_port,
        transit.client_address,
        transit.server_address,
        transit.tunnel,
        transit.flags | transit.earlier << _EARLIER_SHIFT,
        0,
        transit.vni,
        transit.outer_source,
        transit.outer_destination,
        transit.stream_id,
        0,
    )
    return head + b"".join([_STAMP.pack(s.point, s.ifindex, s.monotonic_ns) for s in transit.stamps])


def check_record(data: bytes, trace_id: bytes, parent_id: bytes) -> None:
    """Raise RecordVersionError or RecordError unless `data` is as long as it says, of version 1, and the ids lawful.

    What is left to decode_record: values that version 1 does not know, and the order of the stamps.
    """
    if not data:
        raise RecordError("record is empty")
    if data[0] != VERSION:
        raise RecordVersionError(f"record version {data[0]}, this reader knows {VERSION}")
    if len(data) < HEAD_BYTES:
        raise RecordError(f"record has {len(data)} bytes, its head alone has {HEAD_BYTES}")
    if len(trace_id) != TRACE_ID_BYTES or trace_id == _NO_TRACE_ID:
        raise RecordError("trace id is not 16 bytes, or all zero")
    if len(parent_id) != SPAN_ID_BYTES or parent_id == _NO_SPAN_ID:
        raise RecordError("parent span id is not 8 bytes, or all zero")
    count = data[_COUNT_OFFSET]
    if not 1 <= count <= MAX_STAMPS:
        raise RecordError(f"{count} stamps, a node has 1 to {MAX_STAMPS}")
    if len(data) < HEAD_BYTES + count * STAMP_BYTES:
        raise RecordError(f"record has {len(data)} bytes, too few for {count} stamps")


def decode_record(data: bytes, trace_id: bytes, parent_id: bytes, trace_flags: int) -> Transit:
    """Return the transit of a wire record and of the ids of the span that carried it.

    Raises RecordVersionError for a version other than 1, and RecordError for anything else that is not a record.
    """
    check_record(data, trace_id, parent_id)
    return decode_checked(data, trace_id, parent_id, trace_flags)


def decode_checked(data: bytes, trace_id: bytes, parent_id: bytes, trace_flags: int) -> Transit:
    """Return the transit of a record that check_record passed. Raises RecordError as decode_record does."""
    fields = _HEAD.unpack_from(data)
    (_, direction, context_format, count, seq, tsval, client_port, server_port, client, server) = fields[:10]
    (tunnel, flags, _, vni, outer_source, outer_destination, stream_id, _) = fields[10:]
    try:
        return Transit(
            context=Context(trace_id, parent_id, trace_flags & 0xFF, _find_format(context_format)),
            direction=_find_direction(direction),
            seq=seq,
            tsval=tsval,
            client_port=client_port,
            server_port=server_port,
            client_address=client,
            server_address=server,
            stamps=_read_stamps(data, count),
            tunnel=_find_tunnel(tunnel),
            flags=_find_flags(flags & _FLAGS_MASK),
            earlier=flags >> _EARLIER_SHIFT,
            vni=vni,
            outer_source=outer_source,
            outer_destination=outer_destination,
            stream_id=stream_id,
        )
    except ValueError as error:
        raise RecordError(f"unknown value in the record: {error}") from error


def read_message_key(record: bytes, trace_id: bytes, parent_id: bytes) -> bytes:
    """Return the message key (see transit.message_key) of a checked record and its ids, without decoding it."""
    direction, sent, client, stream = _KEY.unpack_from(record)
    return b"".join((trace_id, parent_id, direction, sent, client, stream))


def read_ends(record: bytes) -> tuple[int, int, int, int]:
    """Return point and time of the first stamp, and point and time of the last, of a checked record."""
    count = record[_COUNT_OFFSET]
    if count == 1:
        point, time_ns = _ENDS[1].unpack_from(record)
        return point, time_ns, point, time_ns
    ends: tuple[int, int, int, int] = _ENDS[count].unpack_from(record)
    return ends


def split_record(record: bytes) -> tuple[Shape, bytes, tuple[int, ...]]:
    """Return the parts of a checked record but for the message key: its shape, which many share, endpoints and times.

    The shape is direction and format as one number, what the outer header said (40 bytes), and point and device of
    each stamp as one number. The endpoints are 36 bytes, see ENDPOINTS. A time is that of a stamp.
    """
    count = record[_COUNT_OFFSET]
    return _SHAPES[count].unpack_from(record), record[_ENDS_START:_ENDS_END], _TIMES[count].unpack_from(record)


def decode_shape(shape: Shape) -> Transit:
    """Return a transit that has the shape of a record (see split_record), and no more.

    Raises RecordError for values that version 1 does not know.
    """
    count = len(shape) - _SHAPE_HEAD
    record = bytearray(HEAD_BYTES + count * STAMP_BYTES)
    _SHAPES[count].pack_into(record, 0, *shape)
    record[0], record[_COUNT_OFFSET] = VERSION, count
    return decode_checked(bytes(record), _NO_TRACE_ID, _NO_SPAN_ID, 0)


def trim_record(record: bytes) -> bytes:
    """Return a checked record without what a later version may have appended."""
    return record[: HEAD_BYTES + record[_COUNT_OFFSET] * STAMP_BYTES]


def _read_stamps(data: bytes, count: int) -> tuple[Stamp, ...]:
    stamps: list[Stamp] = []
    seen = before_ns = 0
    for number, ifindex, monotonic_ns in _STAMP.iter_unpack(data[HEAD_BYTES : HEAD_BYTES + count * STAMP_BYTES]):
        point = _POINTS.get(number)
        if point is None:
            raise RecordError(f"{number} is no Point")
        if monotonic_ns < before_ns:
            raise RecordError("stamps are not in the order met")
        if seen >> number & 1:
            raise RecordError("a point occurs twice")
        stamps.append(Stamp(point, ifindex, monotonic_ns))
        seen |= 1 << number
        before_ns = monotonic_ns
    return tuple(stamps)
