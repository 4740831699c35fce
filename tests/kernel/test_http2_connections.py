"""What ends streams and connections of HTTP/2, ports that are used again, and what a server pushes."""

import pytest

from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import ANSWER, TRAILERS_ONLY, call, traced
from tests.kernel.http2_frames import PREFACE, goaway, headers, push_promise, rst_stream, settings
from tests.kernel.http2_talk import Connection, asked, count_reasons, make_value, read_all, read_values, reply
from tests.kernel.packets import SEQ, SERVER

pytestmark = pytest.mark.bpf


@pytest.mark.parametrize("who", ["server", "client"])
def test_stream_that_is_reset(bpf: Harness, port: int, who: str) -> None:
    """RST_STREAM says that no response comes any more: that is counted, once, and there is no transit of it."""
    connection, _ = asked(bpf, port, 1)
    for _ in range(2):
        if who == "server":
            connection.answer(rst_stream(1))
        else:
            connection.ask(rst_stream(1))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_reset": 1}


def test_reset_behind_the_response(bpf: Harness, port: int) -> None:
    """A server that does not want the rest of a request answers, and resets the stream: nothing is lost."""
    connection, values = asked(bpf, port, 1)
    connection.answer(reply(connection, TRAILERS_ONLY, end_stream=True) + rst_stream(1, 0))
    assert read_values(bpf) == [(1, values[1])]
    assert count_reasons(bpf) == {"transits_started": 1}


def test_reset_of_a_stream_that_is_not_traced(bpf: Harness, port: int) -> None:
    """It is nobody's loss."""
    connection, _ = asked(bpf, port, 1)
    connection.answer(rst_stream(77))
    assert count_reasons(bpf) == {}


def test_connection_that_goes_away(bpf: Harness, port: int) -> None:
    """GOAWAY lets the streams that are under way be answered."""
    connection, values = asked(bpf, port, 1, 3)
    connection.answer(goaway(3, debug=b"max_age"))
    connection.answer(reply(connection, ANSWER) + goaway(3))
    connection.answer(reply(connection, ANSWER, 3))
    assert read_values(bpf) == list(values.items())
    assert count_reasons(bpf) == {"transits_started": 2}


def test_port_that_another_connection_uses_later(bpf: Harness, port: int) -> None:
    """Streams begin at 1 again: each response is of the connection's own request."""
    for seq in (SEQ, 500_000_000, 1_000_000_000):
        connection = Connection(bpf, port, seq=seq)
        connection.server_seq = seq // 2
        value = make_value()
        connection.ask(PREFACE + settings() + connection.call(1, value))
        connection.answer(settings() + reply(connection, ANSWER))
        assert [(f.direction, f.value) for f in read_all(bpf)] == [(0, value), (1, value)]
    assert count_reasons(bpf) == {"http2_requests": 3, "transits_started": 6}


def test_port_that_another_connection_uses_before_the_answer(bpf: Harness, port: int) -> None:
    """A connection was lost with its call under way: the new one's answers are not taken for those of the old."""
    old = Connection(bpf, port)
    old.ask(PREFACE + settings() + old.call(1, make_value()))
    bpf.start_afresh()
    connection = Connection(bpf, port, seq=900_000_000)
    connection.server_seq = 77_000
    connection.ask(PREFACE + settings() + headers(connection.encoder.encode(call())))
    connection.answer(settings() + reply(connection, ANSWER))
    assert read_values(bpf) == []
    assert "transits_started" not in bpf.counts()


def test_one_port_of_two_connections_at_once(bpf: Harness, port: int) -> None:
    """A client's port may serve connections to several servers, with the same streams: no response is another's."""
    connections = [
        Connection(bpf, port, server=server, seq=SEQ + 70_000 * n)
        for n, server in enumerate(("10.96.0.20", "10.96.0.21"))
    ]
    values = [make_value() for _ in connections]
    for connection, value in zip(connections, values, strict=True):
        connection.ask(connection.call(1, value))
    assert [value for _, value in read_values(bpf)] == values
    for connection, value in zip(reversed(connections), reversed(values), strict=True):
        connection.answer(reply(connection, ANSWER))
        assert read_values(bpf) in ([(1, value)], [])


def test_answer_to_what_is_not_traced(bpf: Harness, port: int) -> None:
    """A response without a traced request is counted as that of HTTP/1 is."""
    connection = Connection(bpf, port)
    connection.ask(headers(connection.encoder.encode(call())))
    connection.answer(reply(connection, ANSWER))
    assert read_values(bpf) == []
    assert count_reasons(bpf) == {"http2_requests": 1, "request_no_context": 1, "response_no_exchange": 1}


def test_server_push_is_ignored(bpf: Harness, port: int) -> None:
    """A promised request is nobody's, even with a context in it, and so is its response on an even stream."""
    connection, values = asked(bpf, port, 1)
    promised = push_promise(connection.server_encoder.encode(traced(value=make_value())), 1, 2)
    connection.answer(promised + reply(connection, ANSWER))
    connection.answer(reply(connection, ANSWER, 2))
    assert read_values(bpf) == [(1, values[1])]
    assert count_reasons(bpf).get("transits_started") == 1


@pytest.mark.parametrize("side", ["client_seq", "server_seq"])
@pytest.mark.parametrize("server", [SERVER, "10.244.2.20"])
@pytest.mark.parametrize("beyond", [-1000, 1000])
def test_answer_after_much_else_on_the_connection(
    bpf: Harness, port: int, side: str, server: str, beyond: int
) -> None:
    """An upload, or other streams: the response is known by the server's address, or behind DNAT by numbers alone."""
    connection, values = asked(bpf, port, 1)
    reach = 2**29 if server == SERVER else 2**27
    setattr(connection, side, (getattr(connection, side) + reach + beyond) % 2**32)
    connection.server = server
    connection.answer(reply(connection, ANSWER))
    assert read_values(bpf) == ([(1, values[1])] if beyond < 0 else [])
    assert count_reasons(bpf) == {"transits_started" if beyond < 0 else "response_no_exchange": 1}
