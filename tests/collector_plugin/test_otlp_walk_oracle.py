"""The walk against the protobuf library: any order of fields, every prefix, damage and garbage."""

import random

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector_plugin import otlp_walk
from collector_plugin.otlp_walk import Walk, walk_request
from collector_plugin.parent_schema import ParsedScopeSpans
from hopspan.protowire import WireError, write_length
from tests.collector_plugin.builders import make_request, make_resource_spans, make_span
from tests.collector_plugin.otlp_requests import (
    ORDERS,
    REQUESTS,
    TRANSIT,
    list_by_protobuf,
    list_by_walk,
    make_transits,
    reorder_deeply,
)


def walk_without_library(data: bytes) -> Walk:
    """Return the walk's result where the library refuses every span, and the walk reads them itself."""

    def refuse(*_: object) -> ParsedScopeSpans:
        raise DecodeError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(otlp_walk, "parse_scope_spans", refuse)
        return walk_request(data)


def walk_in_chunks(data: bytes) -> Walk:
    """Return the walk's result where every ScopeSpans is too large to be read at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(otlp_walk, "MAX_WHOLE_BYTES", -1)
        patch.setattr(otlp_walk, "CHUNK_SPANS", 2)
        return walk_request(data)


@settings(max_examples=300)
@given(REQUESTS, ORDERS)
def test_walk_and_protobuf_agree(data: bytes, order: random.Random | None) -> None:
    """Whatever the order of fields, the walk finds the spans that the library finds, and passes the bytes on."""
    data = reorder_deeply(data, 3, order)
    walk = walk_without_library(data)
    assert walk_request(data) == walk_in_chunks(data) == walk
    assert list_by_walk(walk) == list_by_protobuf(data)
    assert walk.forward is data
    assert walk.transits == []
    request = ExportTraceServiceRequest.FromString(data)
    assert walk.span_count == sum(len(ss.spans) for rs in request.resource_spans for ss in rs.scope_spans)


def test_every_prefix_is_refused_or_lawful() -> None:
    """A request cut anywhere is malformed, but where a whole ResourceSpans ends."""
    first = make_request(make_resource_spans([make_span()]))
    data = first + make_request(make_transits(TRANSIT))
    lawful = []
    for end in range(len(data)):
        try:
            walk_request(data[:end])
        except WireError:
            continue
        lawful.append(end)
    assert lawful == [0, len(first)]


@settings(max_examples=300)
@given(REQUESTS, st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3))
def test_damaged_requests_are_read_as_protobuf_reads_them(data: bytes, damage: list[tuple[int, int]]) -> None:
    """What the library still reads is read alike, unless a group or an odd kind is in it; all else is one error."""
    damaged = bytearray(data or b"\0")
    for position, byte in damage:
        damaged[position % len(damaged)] = byte
    data = bytes(damaged)
    try:
        walk = walk_without_library(data)
    except WireError:
        return
    try:
        expected = list_by_protobuf(data)
    except DecodeError:
        # Inside attributes, names and the like the walk does not look.
        return
    assert list_by_walk(walk) == list_by_walk(walk_request(data)) == expected


@given(st.binary(max_size=80))
def test_garbage_is_answered(data: bytes) -> None:
    """Any bytes have an answer, or the documented error."""
    try:
        walk_request(data)
    except WireError:
        return


@pytest.mark.parametrize(
    "span",
    [
        b"\x0a\x10" + b"t" * 15,
        b"\x39" + b"\1" * 7,
        b"\x30\x80",
        b"\x30",
        b"\x4a\x05a",
        b"\x4a",
        b"\x0b",
        b"\x00\x01",
        b"\x85\x01\x00\x00\x00",
        b"\x82\x01\x05a",
    ],
    ids=lambda span: span.hex(),
)
def test_malformed_span_is_refused(span: bytes) -> None:
    """A span's fields may not reach beyond it, though there be bytes behind it."""
    scope_spans = write_length(2, span) + write_length(2, b"\x0a\x10" + b"t" * 40)
    data = write_length(1, write_length(2, scope_spans))
    for walk in (walk_request, walk_without_library):
        with pytest.raises(WireError):
            walk(data)
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(data)
