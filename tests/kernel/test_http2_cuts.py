"""Header blocks of HTTP/2 of which not all is read: they go on in further frames, or segments, or are long."""

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import C_CORE, DYNAMIC, GO, Literal, Style, call, literal, string, traced
from tests.kernel.http2_frames import HEAD_BYTES, continuation, data, grpc_message, headers
from tests.kernel.http2_talk import Connection, count_reasons, make_value, read_values
from tests.kernel.packets import SEQ

pytestmark = pytest.mark.bpf

CONTEXT = literal(string(b"traceparent"), string(make_value().encode()), Literal.NOT_INDEXED)
FILLER = [(b"x-filler", b"~" * 60)]


def test_context_before_the_continuation(bpf: Harness, port: int) -> None:
    """The first frame of a block is read, and that it goes on is counted."""
    connection = Connection(bpf, port)
    value = make_value()
    first, rest = (connection.encoder.encode(fields) for fields in (traced(value=value), FILLER))
    connection.ask(headers(first, end_headers=False) + continuation(rest))
    assert read_values(bpf) == [(1, value)]
    assert count_reasons(bpf) == {"transits_started": 1, "http2_requests": 1, "http2_continued": 1}


def test_context_in_the_continuation_is_counted(bpf: Harness, port: int) -> None:
    """What only a CONTINUATION holds is not read."""
    connection = Connection(bpf, port)
    first, rest = (connection.encoder.encode(fields) for fields in (call(), [(b"traceparent", b"x")]))
    connection.ask(headers(first, end_headers=False) + continuation(rest + CONTEXT))
    assert read_values(bpf) == []
    assert count_reasons(bpf)["http2_continued"] == 1


def test_request_behind_a_continuation(bpf: Harness, port: int) -> None:
    """The next request in the segment is found behind the block that goes on."""
    connection = Connection(bpf, port)
    first, rest = (connection.encoder.encode(fields) for fields in (call(), FILLER))
    value = make_value()
    connection.ask(headers(first, end_headers=False) + continuation(rest) + connection.call(3, value))
    assert read_values(bpf) == [(3, value)]


@pytest.mark.parametrize("style", [GO, C_CORE], ids=lambda style: style.name)
def test_block_that_the_segment_cuts(bpf: Harness, port: int, style: Style) -> None:
    """Where the cut lies behind the context it is found; else the request is counted, and the rest is nothing."""
    end = len(Connection(bpf, port, style).call(1, make_value())) - 2
    for cut in range(HEAD_BYTES, end + 30):
        bpf.start_afresh()
        connection = Connection(bpf, port, style, seq=SEQ + cut * 100_000).open()
        value = make_value()
        block = connection.call(1, value)
        said = block + data(grpc_message(b"order" * 20))
        connection.ask(said[:cut])
        connection.ask(said[cut:])
        assert read_values(bpf) == ([(1, value)] if cut >= len(block) else []), cut
        if cut < len(block):
            counts = count_reasons(bpf)
            assert counts.pop("http2_requests", 0) == (cut > HEAD_BYTES)
            assert counts == {"request_unfinished": 1}
        value = make_value()
        connection.ask(connection.call(3, value))
        assert read_values(bpf) == [(3, value)], cut


def make_block(end: int) -> bytes:
    """Return a block whose last byte, at `end`, is that of its context."""
    context = literal(DYNAMIC, string(make_value().encode()))
    for size in range(end):
        block = b"\x83\x86\x84" + literal(string(b"cookie"), string(b"~" * size)) + context
        if len(block) == end:
            return block
    raise AssertionError(end)


@pytest.mark.parametrize("end", [150, 300, 511, 512])
def test_context_in_the_first_512_bytes_of_a_block(bpf: Harness, port: int, end: int) -> None:
    """Behind other fields it is found as long as all of it lies there, whatever follows."""
    for number, rest in enumerate((b"", literal(string(b"x"), string(b"~" * 1000)))):
        Connection(bpf, port, seq=number * 100_000).open().ask(headers(make_block(end) + rest))
        assert len(read_values(bpf)) == 1
        assert count_reasons(bpf) == {"http2_requests": number + 1, "transits_started": number + 1}


@pytest.mark.parametrize("end", [513, 560, 600, 3000])
def test_context_behind_512_bytes_is_counted(bpf: Harness, port: int, end: int) -> None:
    """The request is counted as too long."""
    Connection(bpf, port).open().ask(headers(make_block(end)))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_requests": 1, "request_too_long": 1}
