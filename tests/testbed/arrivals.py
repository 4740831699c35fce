"""Reads the transits that a sink was sent, by OTLP's own messages and the design's layout: nothing of the product."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

SCOPE = "node_probe"
RECORD_KEY = "hopspan.record"
NODE_KEY = "hopspan.node"

DIRECTIONS = ("request", "response")
PARTIAL = 1
_HEAD = struct.Struct("<BBBBIIHH16s16sBB6x16s16sI4x")
_STAMP = struct.Struct("<B3xIQ")


@dataclass(frozen=True, order=True)
class Sending:
    """One sending of one message: what a packet and a transit of it have in common; the address has 16 bytes."""

    direction: str
    trace_id: bytes
    parent_id: bytes
    client: bytes
    client_port: int
    seq: int
    tsval: int


@dataclass(frozen=True)
class Arrival:
    """A transit as it came: whose it is, whether it was swept, its points in the order met, and its tunnel.

    `server` and the tunnel's `ends`, source and destination, are addresses of 16 bytes; `stream_id` is 0 for HTTP/1.
    """

    node: str
    sending: Sending
    is_partial: bool
    points: tuple[int, ...]
    server: bytes
    tunnel: int
    ends: tuple[bytes, bytes]
    times_ns: tuple[int, ...]
    stream_id: int


def read_arrivals(groups: Iterable[bytes]) -> list[Arrival]:
    """Return the transits in the bytes of ResourceSpans; those of anything else are passed over."""
    arrivals: list[Arrival] = []
    for message in map(ResourceSpans.FromString, groups):
        node = next((a.value.string_value for a in message.resource.attributes if a.key == NODE_KEY), "")
        spans = [span for scope in message.scope_spans if scope.scope.name == SCOPE for span in scope.spans]
        arrivals += [_read_span(node, span) for span in spans]
    return arrivals


def _read_span(node: str, span: Span) -> Arrival:
    record = next(a.value.bytes_value for a in span.attributes if a.key == RECORD_KEY)
    found = _HEAD.unpack_from(record)
    _, direction, _, count, seq, tsval, client_port, _, client, server, tunnel, flags, source, destination, stream = (
        found
    )
    stamps = [_STAMP.unpack_from(record, _HEAD.size + number * _STAMP.size) for number in range(count)]
    return Arrival(
        node=node,
        sending=Sending(DIRECTIONS[direction], span.trace_id, span.parent_span_id, client, client_port, seq, tsval),
        is_partial=bool(flags & PARTIAL),
        points=tuple(point for point, _, _ in stamps),
        server=server,
        tunnel=tunnel,
        ends=(source, destination),
        times_ns=tuple(time_ns for _, _, time_ns in stamps),
        stream_id=stream,
    )
