"""Reads HTTP/2 (RFC 9113) from a tape with a full HPACK decoder for each side of each connection, from its beginning.

An observer that is not ours: what it reads of headers, whatever the peers' tables hold, is what they mean.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from hpack import Decoder

from tests.testbed.tape import Segment

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, CONTINUATION = 1, 3, 9
_END_HEADERS, _PADDED, _PRIORITY = 4, 8, 0x20
_FRAME_HEAD = 9
_LARGEST_TABLE = 1 << 20
_WRAP = 1 << 32

Flow = list[Segment]


@dataclass(frozen=True)
class Frame:
    """A frame, the segment that it begins in, and where: `seq` is TCP's number of its first byte."""

    segment: Segment
    kind: int
    flags: int
    stream_id: int
    seq: int
    payload: bytes

    @property
    def is_cut(self) -> bool:
        """Tell whether it goes on in a further segment."""
        end = self.seq - self.segment.seq + _FRAME_HEAD + len(self.payload)
        return end % _WRAP > len(self.segment.payload)


@dataclass(frozen=True)
class Headers:
    """A block of headers as it was meant, and its first frame."""

    frame: Frame
    fields: tuple[tuple[str, str], ...]

    @property
    def is_request(self) -> bool:
        return any(name == ":method" for name, _ in self.fields)

    @property
    def is_response(self) -> bool:
        """Tell whether it is a final response: no trailers, and not interim."""
        status = self.get(":status")
        return bool(status) and not status.startswith("1")

    def get(self, name: str) -> str:
        """Return the value of a field, empty where there is none."""
        return next((value for known, value in self.fields if known == name), "")


def read_headers(segments: Iterable[Segment]) -> list[Headers]:
    """Return the blocks of headers of connections by prior knowledge, in order for each side of one at one place."""
    return [headers for frames in read_sides(segments) for headers in decode(frames)]


def read_resets(segments: Iterable[Segment]) -> list[Frame]:
    """Return the frames of such connections that end a stream early."""
    return [frame for frames in read_sides(segments) for frame in frames if frame.kind == RST_STREAM]


def read_sides(segments: Iterable[Segment]) -> list[list[Frame]]:
    """Return the frames of such connections, a list for each side of one at one place."""
    return [list(_read_frames(flow)) for flow in _list_flows(segments)]


def decode(frames: Iterable[Frame]) -> Iterator[Headers]:
    """Decode the blocks of headers of one side in order, as its peer did."""
    decoder = Decoder(max_header_list_size=_LARGEST_TABLE)
    decoder.max_allowed_table_size = _LARGEST_TABLE
    begun: list[Frame] = []
    for frame in frames:
        if frame.kind not in {HEADERS, CONTINUATION}:
            continue
        begun.append(frame)
        if frame.flags & _END_HEADERS:
            block = b"".join(map(_strip, begun))
            fields = tuple((str(name), str(value)) for name, value, *_ in decoder.decode(block))
            yield Headers(begun[0], fields)
            begun = []


def _read_frames(flow: Flow) -> Iterator[Frame]:
    """Yield the frames of one side of a connection that came whole."""
    pieces = list(_put_in_order(flow))
    stream = b"".join(new for _, new in pieces)
    ends = list(accumulate(len(new) for _, new in pieces))
    begin = len(PREFACE) if stream.startswith(PREFACE) else 0
    while begin + _FRAME_HEAD <= len(stream):
        body = begin + _FRAME_HEAD
        end = body + int.from_bytes(stream[begin : begin + 3])
        if end > len(stream):
            return
        piece = bisect_right(ends, begin)
        yield Frame(
            segment=pieces[piece][0],
            kind=stream[begin + 3],
            flags=stream[begin + 4],
            stream_id=int.from_bytes(stream[begin + 5 : body]) & 0x7FFFFFFF,
            seq=(flow[0].seq + begin) % _WRAP,
            payload=stream[body:end],
        )
        begin = end


def _list_flows(segments: Iterable[Segment]) -> list[Flow]:
    """Return the sides, as each place saw them, of the connections that begin with HTTP/2's preface."""
    flows: dict[object, Flow] = defaultdict(list)
    for segment in segments:
        ends = segment.source, segment.source_port, segment.destination, segment.destination_port
        flows[segment.place, *ends].append(segment)
    firsts = [flow[0] for flow in flows.values()]
    clients = {(first.source, first.source_port) for first in firsts if first.payload.startswith(PREFACE)}
    return [flow for flow in flows.values() if clients & {*_list_ends(flow[0])}]


def _list_ends(segment: Segment) -> list[tuple[bytes, int]]:
    return [(segment.source, segment.source_port), (segment.destination, segment.destination_port)]


def _put_in_order(flow: Sequence[Segment]) -> Iterator[tuple[Segment, bytes]]:
    """Yield the segments with the bytes that each was the first to bring; the first of the flow begins it."""
    begin, read = flow[0].seq, 0
    for segment in sorted(flow, key=lambda segment: (segment.seq - begin) % _WRAP):
        at = (segment.seq - begin) % _WRAP
        assert at <= read, "the tape has a gap"
        new = segment.payload[read - at :]
        if new:
            yield segment, new
            read += len(new)


def _strip(frame: Frame) -> bytes:
    """Return a frame's part of a block, without padding and priority (RFC 9113 section 6.2)."""
    block = frame.payload
    if frame.kind == HEADERS and frame.flags & _PADDED:
        block = block[1 : len(block) - block[0]]
    if frame.kind == HEADERS and frame.flags & _PRIORITY:
        block = block[5:]
    return block
