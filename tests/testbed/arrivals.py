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
_HEAD = struct.Struct("<BBBBIIHH16s16sBB46x")
_STAMP = struct.Struct("<B3xIQ")


@dataclass(frozen=True, order=True)
class Sending:
    """One sending of one message: what a packet and a transit of it have in common; the address has 4 bytes."""

    direction: str
    trace_id: bytes
    parent_id: bytes
    client: bytes
    client_port: int
    seq: int
    tsval: int


@dataclass(frozen=True)
class Arrival:
    """A transit as it came: whose it is, whether it was swept, its points in the order met, and its tunnel."""

    node: str
    sending: Sending
    is_partial: bool
    points: tuple[int, ...]
    tunnel: int
    times_ns: tuple[int, ...]


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
    _, direction, _, count, seq, tsval, client_port, _, client, _, tunnel, flags = _HEAD.unpack_from(record)
    stamps = [_STAMP.unpack_from(record, _HEAD.size + number * _STAMP.size) for number in range(count)]
    return Arrival(
        node=node,
        sending=Sending(
            DIRECTIONS[direction], span.trace_id, span.parent_span_id, client[12:], client_port, seq, tsval
        ),
        is_partial=bool(flags & PARTIAL),
        points=tuple(point for point, _, _ in stamps),
        tunnel=tunnel,
        times_ns=tuple(time_ns for _, _, time_ns in stamps),
    )
