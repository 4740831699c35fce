"""Requests of HTTP/2: where their HEADERS may lie in a segment, and what is counted of those that are not read."""

import pytest

from node_probe.transit import ContextFormat, Direction
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import STYLES, Literal, Style, call, literal, string, traced
from tests.kernel.http2_frames import (
    PREFACE,
    data,
    frame,
    grpc_message,
    headers,
    ping,
    priority,
    settings,
    window_update,
)
from tests.kernel.http2_talk import (
    FRAMES_MAX,
    HUFFMAN,
    STREAMS_MAX,
    Connection,
    count_reasons,
    make_value,
    read_all,
    read_values,
)
from tests.kernel.packets import SEQ, TSVAL

pytestmark = pytest.mark.bpf

CONTEXT = literal(string(b"traceparent"), string(make_value().encode()), Literal.NOT_INDEXED)
FILLER = [(b"x-filler", b"~" * 60)]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_each_request_whatever_the_encoder(bpf: Harness, port: int, style: Style) -> None:
    """The first request on a connection, and those behind it, whose names are numbers by then."""
    connection = Connection(bpf, port, style)
    values = [make_value() for _ in range(5)]
    starts = [connection.ask(connection.call(1 + 2 * number, value)) for number, value in enumerate(values)]
    found = read_all(bpf)
    assert [(f.stream, f.value) for f in found] == [(1 + 2 * number, value) for number, value in enumerate(values)]
    assert [f.seq for f in found] == starts
    assert {(f.direction, f.tsval, f.format) for f in found} == {
        (Direction.REQUEST, TSVAL, ContextFormat.TRACEPARENT)
    }
    assert {f.coding for f in found} == ({HUFFMAN} if style.coded_from == 0 else {0})
    assert count_reasons(bpf) == {"transits_started": 5, "http2_requests": 5}
    assert bpf.count_contexts() == {"traceparent": 5}


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_connection_older_than_the_probe(bpf: Harness, port: int, style: Style) -> None:
    """Nothing of what the encoder's table holds was seen, and every new context is read all the same."""
    connection = Connection(bpf, port, style)
    for stream in range(1, 100, 2):
        connection.lose(connection.call(stream, make_value()))
    value = make_value()
    connection.ask(connection.call(101, value))
    assert read_values(bpf) == [(101, value)]


@pytest.mark.parametrize("count", [2, 3, 4, STREAMS_MAX])
def test_several_requests_in_one_segment(bpf: Harness, port: int, count: int) -> None:
    """Each has a record of its own, under the number of its frame's first byte."""
    connection = Connection(bpf, port)
    values = [make_value() for _ in range(count)]
    frames = [connection.call(1 + 2 * number, value, end_stream=True) for number, value in enumerate(values)]
    connection.ask(b"".join(frames))
    found = read_all(bpf)
    assert [(f.stream, f.value) for f in found] == [(1 + 2 * number, value) for number, value in enumerate(values)]
    assert [f.seq for f in found] == [(SEQ + sum(map(len, frames[:n]))) % 2**32 for n in range(count)]
    assert count_reasons(bpf)["http2_requests"] == count


def test_request_beyond_those_of_one_segment_is_counted(bpf: Harness, port: int) -> None:
    """As many contexts are handed out as a segment may have; of the others one thing is counted."""
    connection = Connection(bpf, port)
    values = [make_value() for _ in range(STREAMS_MAX + 5)]
    connection.ask(b"".join(connection.call(1 + 2 * number, value) for number, value in enumerate(values)))
    assert [value for _, value in read_values(bpf)] == values[:STREAMS_MAX]
    assert count_reasons(bpf)["http2_too_many"] == 1
    value = make_value()
    connection.ask(connection.call(99, value))
    assert read_values(bpf) == [(99, value)]


@pytest.mark.parametrize("before", [0, 1, 7, 8, FRAMES_MAX - 1, FRAMES_MAX, FRAMES_MAX + 9])
def test_so_many_frames_of_a_segment_are_looked_at(bpf: Harness, port: int, before: int) -> None:
    """HEADERS behind many others are read; behind more they are not, and that is counted."""
    connection = Connection(bpf, port)
    value = make_value()
    connection.ask(window_update() * before + connection.call(1, value))
    assert read_values(bpf) == ([(1, value)] if before < FRAMES_MAX else [])
    assert count_reasons(bpf).get("http2_too_many", 0) == (before >= FRAMES_MAX)


@pytest.mark.parametrize(
    "before",
    [
        settings((3, 100), (4, 65535)),
        settings(acknowledges=True),
        window_update(7),
        ping(acknowledges=True),
        priority(5),
        data(grpc_message(b"order"), 5, end_stream=True),
        data(b"", 5, end_stream=True),
        data(b"padded", 5, padding=20),
        data(bytes(1000), 5),
    ],
    ids=["settings", "acknowledged", "window", "ping", "priority", "message", "end", "padded", "long"],
)
def test_request_behind_another_frame(bpf: Harness, port: int, before: bytes) -> None:
    """The frames before it are stepped over by their length."""
    connection = Connection(bpf, port)
    value = make_value()
    start = connection.ask(before + connection.call(7, value))
    (found,) = read_all(bpf)
    assert (found.stream, found.value, found.seq) == (7, value, (start + len(before)) % 2**32)


@pytest.mark.parametrize("padding", [None, 0, 1, 100, 255])
@pytest.mark.parametrize("prioritised", [False, True])
def test_padding_and_priority_are_stepped_over(
    bpf: Harness,
    port: int,
    padding: int | None,
    prioritised: bool,  # noqa: FBT001
) -> None:
    """The block is what lies between them; zeros behind it are no fields."""
    connection = Connection(bpf, port)
    value = make_value()
    block = connection.encoder.encode(traced(value=value))
    connection.ask(headers(block, padding=padding, priority=prioritised))
    assert read_values(bpf) == [(1, value)]
    assert count_reasons(bpf) == {"transits_started": 1, "http2_requests": 1}


def test_context_in_the_padding_is_none(bpf: Harness, port: int) -> None:
    """A receiver ignores what is there (RFC 9113 section 6.1), and so do we."""
    connection = Connection(bpf, port)
    block = connection.encoder.encode(call())
    whole = headers(block + CONTEXT)
    padded = bytes([len(CONTEXT)]) + block + CONTEXT
    connection.ask(frame(1, padded, flags=whole[4] | 0x8, stream=1))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_requests": 1, "request_no_context": 1}


@pytest.mark.parametrize("stream", [1, 3, 65_537, 2**24 + 1, 2**31 - 1])
def test_streams_of_clients(bpf: Harness, port: int, stream: int) -> None:
    """A client's streams are odd, up to 31 bits."""
    connection = Connection(bpf, port)
    value = make_value()
    connection.ask(connection.call(stream, value))
    assert read_values(bpf) == [(stream, value)]


@pytest.mark.parametrize("stream", [0, 2, 2**31, 2**31 + 1])
def test_streams_that_no_client_opens(bpf: Harness, port: int, stream: int) -> None:
    """Even ones are the server's, 0 is the connection, and the highest bit is reserved: nothing is read there."""
    connection = Connection(bpf, port)
    connection.ask(connection.call(stream, make_value()))
    assert read_values(bpf) == []
    assert "transits_started" not in bpf.counts()


def test_request_without_a_context(bpf: Harness, port: int) -> None:
    """The first is known to have none; once fields are known by number alone, one of them might be the context."""
    connection = Connection(bpf, port)
    for stream in (1, 3):
        connection.ask(headers(connection.encoder.encode(call()), stream))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_requests": 2, "request_no_context": 1, "http2_indexed": 1}


def test_first_segment_of_a_connection(bpf: Harness, port: int) -> None:
    """The preface, settings and the first request in one segment, as grpc-go sends them at times."""
    connection = Connection(bpf, port)
    value = make_value()
    before = PREFACE + settings((2, 0), (4, 65535)) + window_update()
    start = connection.ask(before + connection.call(1, value))
    (found,) = read_all(bpf)
    assert (found.stream, found.value, found.seq) == (1, value, (start + len(before)) % 2**32)
    assert bpf.counts().get("http2_uncertain", 0) == 0
