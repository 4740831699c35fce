"""Responses of HTTP/2: the server's first HEADERS on a stream whose request was traced."""

import pytest

from node_probe.transit import Direction
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import ANSWER, STYLES, TRAILERS, TRAILERS_ONLY, Field, Style, string
from tests.kernel.http2_frames import (
    PREFACE,
    data,
    grpc_message,
    headers,
    ping,
    rst_stream,
    settings,
    window_update,
)
from tests.kernel.http2_talk import (
    STREAMS_MAX,
    Connection,
    asked,
    count_reasons,
    make_value,
    read_all,
    read_values,
    reply,
)
from tests.kernel.packets import LATER_TIMESTAMPS, SERVER_6

pytestmark = pytest.mark.bpf

CONTINUE: list[Field] = [(b":status", b"100")]
HINTS: list[Field] = [(b":status", b"103"), (b"link", b"</style.css>; rel=preload")]
MESSAGE = data(grpc_message(b"3 apples"))


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_response_finds_its_request_by_the_stream(bpf: Harness, port: int, style: Style) -> None:
    """It has its request's context, and the number of its own frame."""
    connection = Connection(bpf, port, style)
    value = make_value()
    connection.ask(connection.call(1, value))
    start = connection.answer(reply(connection, ANSWER) + MESSAGE + reply(connection, TRAILERS, end_stream=True))
    request, response = read_all(bpf)
    assert (response.direction, response.stream, response.value) == (Direction.RESPONSE, 1, value)
    assert response.seq == start
    assert (response.client, response.server) == (request.client, request.server)
    assert count_reasons(bpf) == {"http2_requests": 1, "transits_started": 2}


def test_responses_in_any_order(bpf: Harness, port: int) -> None:
    """Streams are answered when they are ready, and each by its number."""
    connection, values = asked(bpf, port, 1, 3, 5, 7)
    for stream in (5, 1, 7, 3):
        connection.answer(reply(connection, ANSWER, stream))
        assert read_values(bpf) == [(stream, values[stream])]


def test_several_responses_in_one_segment(bpf: Harness, port: int) -> None:
    """Each has a record of its own."""
    connection, values = asked(bpf, port, 1, 3, 5, 7)
    frames = [reply(connection, ANSWER, stream) + data(b"x", stream) for stream in (3, 1, 7, 5)]
    start = connection.answer(b"".join(frames))
    found = read_all(bpf)
    assert [(f.stream, f.value) for f in found] == [(stream, values[stream]) for stream in (3, 1, 7, 5)]
    assert [f.seq for f in found] == [start + sum(map(len, frames[:number])) for number in range(4)]


def test_response_beyond_those_of_one_segment_is_counted(bpf: Harness, port: int) -> None:
    """As of requests; and the trailers of what was not seen are not taken for it."""
    connection, values = asked(bpf, port, *range(1, 2 * STREAMS_MAX + 10, 2))
    connection.answer(b"".join(reply(connection, ANSWER, stream) for stream in values))
    assert read_values(bpf) == list(values.items())[:STREAMS_MAX]
    for stream in values:
        connection.answer(data(b"apples", stream) + reply(connection, TRAILERS, stream, end_stream=True))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"transits_started": STREAMS_MAX, "http2_too_many": 1}


def test_requests_and_responses_of_both_sides_in_turn(bpf: Harness, port: int) -> None:
    """A long connection: each call has its two transits, and nothing is counted besides."""
    connection = Connection(bpf, port)
    connection.ask(PREFACE + settings())
    connection.answer(settings() + settings(acknowledges=True))
    for stream in range(1, 200, 2):
        value = make_value()
        connection.ask(connection.call(stream, value) + data(grpc_message(b"order"), stream, end_stream=True))
        connection.answer(window_update() + ping())
        connection.ask(ping(acknowledges=True))
        connection.answer(reply(connection, ANSWER, stream) + data(grpc_message(b"apples"), stream))
        connection.answer(reply(connection, TRAILERS, stream, end_stream=True))
        assert [(f.direction, f.stream, f.value) for f in read_all(bpf)] == [(0, stream, value), (1, stream, value)]
    assert count_reasons(bpf) == {"http2_requests": 100, "transits_started": 200}


@pytest.mark.parametrize("interim", [CONTINUE, HINTS], ids=["100", "103"])
@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_interim_responses_come_first(
    bpf: Harness,
    port: int,
    interim: list[Field],
    together: bool,  # noqa: FBT001
) -> None:
    """They are counted, and the final one is the response."""
    connection, values = asked(bpf, port, 1)
    first, final = (reply(connection, fields) for fields in (interim, ANSWER))
    if together:
        start = connection.answer(first + final) + len(first)
    else:
        connection.answer(first)
        start = connection.answer(final)
    (found,) = read_all(bpf)
    assert (found.value, found.seq) == (values[1], start)
    assert count_reasons(bpf) == {"transits_started": 1, "response_interim": 1}


def test_several_interim_responses(bpf: Harness, port: int) -> None:
    """As many as there are; from the second time on a status is a number of the dynamic table, and nothing else.

    A known limit is one with further fields: 103 (Early Hints), the second time on a connection, is taken for final.
    """
    connection, values = asked(bpf, port, 1)
    for _ in range(5):
        connection.answer(reply(connection, CONTINUE))
    connection.answer(reply(connection, ANSWER))
    assert read_values(bpf) == [(1, values[1])]
    assert count_reasons(bpf) == {"transits_started": 1, "response_interim": 5}


def test_trailers_only(bpf: Harness, port: int) -> None:
    """A call that fails at once has one HEADERS frame, which ends the stream."""
    connection, values = asked(bpf, port, 1)
    connection.answer(reply(connection, TRAILERS_ONLY, end_stream=True))
    assert read_values(bpf) == [(1, values[1])]
    assert count_reasons(bpf) == {"transits_started": 1}


@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
def test_pseudo_header_whose_name_is_written_out(bpf: Harness, port: int, *, coded: bool) -> None:
    """So gRPC's C core sends an answer that has no message: `:status` is no number, and neither is anything else."""
    connection, values = asked(bpf, port, 1)
    fields = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"4")]
    block = b"".join(b"\0" + string(name, coded=coded) + string(value, coded=coded) for name, value in fields)
    connection.answer(headers(block, 1, end_stream=True) + rst_stream(1, 0))
    assert read_values(bpf) == [(1, values[1])]
    assert count_reasons(bpf) == {"transits_started": 1}

    value = make_value().encode()
    fields = [(b":path", b"/cart.Cart/Get"), (b"traceparent", value)]
    block = b"".join(b"\0" + string(name, coded=coded) + string(value, coded=coded) for name, value in fields)
    connection.ask(headers(block, 3))
    assert read_values(bpf) == [(3, value.decode())]


def test_trailers_are_no_response(bpf: Harness, port: int) -> None:
    """Only the first HEADERS of the stream is, so what ends it is not counted as repeated."""
    connection, values = asked(bpf, port, 1)
    connection.answer(reply(connection, ANSWER) + MESSAGE)
    connection.answer(reply(connection, TRAILERS, end_stream=True), options=LATER_TIMESTAMPS)
    assert read_values(bpf) == [(1, values[1])]
    assert count_reasons(bpf) == {"transits_started": 1}


def test_streaming_call(bpf: Harness, port: int) -> None:
    """Of a call with many messages the first of each way is measured, which is its HEADERS."""
    connection, values = asked(bpf, port, 1)
    connection.answer(reply(connection, ANSWER))
    for number in range(50):
        connection.ask(data(grpc_message(bytes([number]) * 300)))
        connection.answer(data(grpc_message(bytes([number]) * 300)))
    connection.answer(reply(connection, TRAILERS, end_stream=True))
    assert read_values(bpf) == [(1, values[1])]
    assert count_reasons(bpf) == {"transits_started": 1}


def test_context_in_a_response_is_no_request(bpf: Harness, port: int) -> None:
    """traceresponse, or even a traceparent, beside a status: the response has its request's context all the same."""
    connection, values = asked(bpf, port, 1)
    fields: list[Field] = [(name, make_value().encode()) for name in (b"traceresponse", b"traceparent")]
    connection.answer(reply(connection, [*ANSWER, *fields]))
    (found,) = read_all(bpf)
    assert (found.direction, found.value) == (Direction.RESPONSE, values[1])
    connection.answer(reply(connection, [*ANSWER, *fields], 99))
    assert read_values(bpf) == []


def test_response_that_is_sent_again(bpf: Harness, port: int) -> None:
    """With a new TSval it is a transit of its own, with the same it is counted."""
    connection, values = asked(bpf, port, 1)
    answer = reply(connection, ANSWER) + MESSAGE
    start = connection.answer(answer)
    for options in (LATER_TIMESTAMPS, LATER_TIMESTAMPS):
        connection.server_seq = start
        connection.answer(answer, options=options)
    assert read_values(bpf) == [(1, values[1])] * 2
    assert count_reasons(bpf) == {"transits_started": 2, "repeated": 1}


def test_response_over_ipv6(bpf: Harness, port: int) -> None:
    """The stream is looked up under the folded address."""
    connection = Connection(bpf, port, client="fd00:10:244:1::10", server=SERVER_6)
    value = make_value()
    connection.ask(connection.call(1, value))
    connection.answer(reply(connection, ANSWER))
    assert [(f.direction, f.value) for f in read_all(bpf)] == [(0, value), (1, value)]
