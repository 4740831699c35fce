"""Which packet each request and response truly began in: a capture of encrypted connections, and their keys.

Pure: bytes in, values out. It is what the packets say once they are decrypted, so it holds however requests overlap.
HTTP/1.1 and HTTP/2; a request is known by the span id of the context that it carries, a response by its place.
"""

import re
import struct
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hpack import Decoder

from testbed.capture_file import PLAIN_TCP, read_frames
from tests.testbed.tls_stream import APPLICATION_DATA, KeyLog, Record, decrypt_connection

REQUEST, RESPONSE = "request", "response"
_SEQUENCE = 1 << 32
_TCP = struct.Struct("!HHIIBB")
_SYN = 2
_LONGEST = 1 << 16
"""Of a segment that the network device cuts."""
_TIMESTAMPS = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _CONTINUATION = 1, 9
_END_HEADERS, _PRIORITY, _PADDED = 4, 0x20, 8
_HEAD_1 = re.compile(rb"(?:[A-Z]+ \S+ HTTP/1\.1|HTTP/1\.1 (\d{3}))")
_CONTEXT = re.compile(rb"\r\ntraceparent: *00-([0-9a-f]{32})-([0-9a-f]{16})-", re.IGNORECASE)


class Segment(NamedTuple):
    """One packet with payload, as it was captured; each sending is one."""

    seq: int
    tsval: int
    payload: bytes
    epoch_ns: int


class Origin(NamedTuple):
    """A packet that the first byte of a message was in; `client_port`, `seq` and `tsval` name it to the product."""

    direction: str
    trace_id: bytes
    span_id: bytes
    client_port: int
    seq: int
    tsval: int
    epoch_ns: int
    """When the capture saw it."""


class Conversation:
    """One connection: its segments in both directions."""

    def __init__(self) -> None:
        """Begin empty."""
        self.segments: dict[str, list[Segment]] = {REQUEST: [], RESPONSE: []}
        self.first_seq: dict[str, int] = {}

    def join_stream(self, direction: str) -> bytes:
        """Return the bytes of a direction from its first on, up to the first that is not there."""
        stream = bytearray()
        for at, (_, _, payload, _) in self.sort_segments(direction):
            if at > len(stream):
                break
            stream += payload[len(stream) - at :]
        return bytes(stream)

    def sort_segments(self, direction: str) -> list[tuple[int, Segment]]:
        """Return the segments with their places in the stream, in order."""
        first = self.first_seq[direction]
        placed = [((each.seq - first) % _SEQUENCE, each) for each in self.segments[direction]]
        return sorted(placed, key=lambda each: each[0])


def find_packets(segments: Sequence[tuple[int, Segment]], place: int) -> list[Segment]:
    """Return the packets that carried a byte of the stream."""
    first, last = (bisect(segments, at, key=lambda each: each[0]) for at in (place - _LONGEST, place))
    return [segment for start, segment in segments[first:last] if place < start + len(segment.payload)]


def read_conversations(capture: bytes, server_ports: Iterable[int]) -> list[tuple[int, Conversation]]:
    """Return the connections to some ports whose opening was captured, each with its client port."""
    ports = frozenset(server_ports)
    found: dict[int, list[Conversation]] = defaultdict(list)
    for frame, epoch_ns in read_frames(capture):
        source, destination, seq, _, offset, flags = _TCP.unpack_from(frame, PLAIN_TCP)
        direction, client = (REQUEST, source) if destination in ports else (RESPONSE, destination)
        if destination not in ports and source not in ports:
            continue
        conversations, data_at = found[client], PLAIN_TCP + (offset >> 4) * 4
        if flags & _SYN:
            # A client's SYN with another number is that of a new connection from a port that was used before.
            if not conversations or (direction == REQUEST and conversations[-1].first_seq.get(REQUEST) != seq + 1):
                conversations.append(Conversation())
            conversations[-1].first_seq[direction] = seq + 1
        # The IPv4 header's own length: a short frame is padded.
        payload = frame[data_at : 14 + int.from_bytes(frame[16:18])]
        if payload and conversations:
            tsval = _read_tsval(frame[PLAIN_TCP + 20 : data_at])
            conversations[-1].segments[direction].append(Segment(seq, tsval, payload, epoch_ns))
    return [(port, each) for port, all_ in found.items() for each in all_ if len(each.first_seq) == 2]


def list_origins(conversations: Iterable[tuple[int, Conversation]], key_log: str) -> list[Origin]:
    """Return where each message began: as many origins as it was sent."""
    keys = KeyLog(key_log)
    return [origin for port, conversation in conversations for origin in _list_origins(port, conversation, keys)]


def _list_origins(port: int, conversation: Conversation, keys: KeyLog) -> Iterator[Origin]:
    streams = {direction: conversation.join_stream(direction) for direction in (REQUEST, RESPONSE)}
    if not all(streams.values()):
        return
    plain = {
        direction: [record for record in records if record.kind == APPLICATION_DATA]
        for direction, records in decrypt_connection(streams, keys).items()
    }
    is_http2 = b"".join(record.text for record in plain[REQUEST][:2]).startswith(_PREFACE)
    read = _read_http2 if is_http2 else _read_http1
    segments = {direction: conversation.sort_segments(direction) for direction in plain}
    for direction, place, context in read(plain):
        for packet in find_packets(segments[direction], place):
            yield Origin(direction, *context, port, packet.seq, packet.tsval, packet.epoch_ns)


Context = tuple[bytes, bytes]
"""Trace id and span id."""


def _read_http1(plain: Mapping[str, Sequence[Record]]) -> Iterator[tuple[str, int, Context]]:
    """Yield direction, place and context of each message: a connection's n-th answer is that of its n-th request."""
    contexts = []
    for record in plain[REQUEST]:
        if _HEAD_1.match(record.text):
            context = _CONTEXT.search(record.text)
            assert context, record.text
            contexts.append((bytes.fromhex(context[1].decode()), bytes.fromhex(context[2].decode())))
            yield REQUEST, record.start, contexts[-1]
    answered = 0
    for record in plain[RESPONSE]:
        head = _HEAD_1.match(record.text)
        # An interim answer is part of the exchange, and its first packet is what is timed.
        if head:
            yield RESPONSE, record.start, contexts[answered]
            answered += not head[1].startswith(b"1")


def _read_http2(plain: Mapping[str, Sequence[Record]]) -> Iterator[tuple[str, int, Context]]:
    """Yield the same: an answer is that of the stream's request."""
    contexts: dict[int, Context] = {}
    for place, stream, fields in _read_blocks(plain[REQUEST], len(_PREFACE)):
        if b"traceparent" in fields:
            _, trace_id, span_id, _ = fields[b"traceparent"].decode().split("-")
            contexts[stream] = bytes.fromhex(trace_id), bytes.fromhex(span_id)
            yield REQUEST, place, contexts[stream]
    for place, stream, fields in _read_blocks(plain[RESPONSE], 0):
        if b":status" in fields:
            yield RESPONSE, place, contexts[stream]


def _read_blocks(records: Sequence[Record], skipped: int) -> Iterator[tuple[int, int, dict[bytes, bytes]]]:
    """Yield place of the record, stream and fields of each header block."""
    decoder, block = Decoder(), b""
    decoder.max_allowed_table_size = 1 << 20
    for place, kind, flags, stream, body in _read_frames(records, skipped):
        if kind == _HEADERS:
            first_place = place
            padding = body[0] if flags & _PADDED else 0
            block += body[bool(flags & _PADDED) + 5 * bool(flags & _PRIORITY) : len(body) - padding]
        elif kind == _CONTINUATION:
            block += body
        else:
            continue
        if flags & _END_HEADERS:
            fields = {bytes(name): bytes(value) for name, value in decoder.decode(block, raw=True)}
            yield first_place, stream, fields
            block = b""


def _read_frames(records: Sequence[Record], skipped: int) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Yield place of the record that a frame begins in, and the frame's type, flags, stream and body."""
    text = b"".join(record.text for record in records)
    ends, total = [], 0
    for record in records:
        total += len(record.text)
        ends.append(total)
    position, number = skipped, 0
    while position + 9 <= len(text):
        while ends[number] <= position:
            number += 1
        length = int.from_bytes(text[position : position + 3])
        kind, flags, stream = struct.unpack_from("!BBI", text, position + 3)
        body = text[position + 9 : position + 9 + length]
        yield records[number].start, kind, flags, stream & 0x7FFFFFFF, body
        position += 9 + length


def _read_tsval(options: bytes) -> int:
    position = 0
    while position < len(options) and options[position]:
        if options[position] == 1:
            position += 1
            continue
        if options[position] == _TIMESTAMPS:
            return int.from_bytes(options[position + 2 : position + 6])
        position += options[position + 1]
    return 0
