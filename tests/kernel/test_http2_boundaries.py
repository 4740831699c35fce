"""Where frames begin: known from the last segment on while none is missed, else told by plausibility, and counted."""

import pytest

from node_probe.sweep import sweep_transits
from node_probe.tables import TABLES, count_used
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import ANSWER, DYNAMIC, literal, string
from tests.kernel.http2_frames import HEAD_BYTES, PREFACE, data, frame, headers, settings, window_update
from tests.kernel.http2_talk import Connection, count_reasons, make_value, read_all, read_values
from tests.kernel.packets import ACK, TRACEPARENT, http_request, request, response, traced_request

pytestmark = pytest.mark.bpf

UPLOAD = data(bytes(range(256)) * 60)
"""A DATA frame of 15 KiB."""


def cut(payload: bytes, size: int = 1448) -> list[bytes]:
    return [payload[start : start + size] for start in range(0, len(payload), size)]


@pytest.mark.parametrize("size", [1448, 1000, 700])
def test_request_behind_a_frame_of_many_segments(bpf: Harness, port: int, size: int) -> None:
    """The last of them begins inside DATA, and the request behind it is found where the frame ends."""
    connection = Connection(bpf, port).open()
    first, second = make_value(), make_value()
    *pieces, last = cut(connection.call(1, first) + UPLOAD, size)
    for piece in pieces:
        connection.ask(piece)
    connection.ask(last + connection.call(3, second))
    assert read_values(bpf) == [(1, first), (3, second)]
    assert bpf.counts().get("http2_uncertain", 0) == 0


def test_request_in_the_next_segment_behind_a_long_frame(bpf: Harness, port: int) -> None:
    """A frame that ends with a segment: the next one begins a frame, and that is known."""
    connection = Connection(bpf, port).open()
    value = make_value()
    for piece in cut(UPLOAD):
        connection.ask(piece)
    connection.ask(connection.call(1, value))
    assert read_values(bpf) == [(1, value)]


def test_awaited_frame_is_an_entry_of_the_table(bpf: Harness, port: int) -> None:
    """From the segment that a long frame begins in until the one that it ends in, as the metrics page tells it."""
    table = TABLES["followed"]
    connection = Connection(bpf, port).open()
    tags = bpf.map(table.tags, table.set_bytes)
    before = count_used(tags)
    *pieces, last = cut(UPLOAD + connection.call(1, make_value()))
    awaited = []
    for piece in pieces:
        connection.ask(piece)
        awaited.append(count_used(tags) - before)
    connection.ask(last)
    assert awaited == [1] * len(pieces)
    assert count_used(tags) == before


@pytest.mark.parametrize("before", [b"", PREFACE, PREFACE + settings()], ids=["request", "preface", "settings"])
def test_bytes_inside_a_frame_are_no_frame(bpf: Harness, port: int, before: bytes) -> None:
    """A segment in the midst of DATA that looks like a request, as a proxy's log of calls would, is none."""
    connection = Connection(bpf, port).open()
    bait = before + headers(b"\x83\x86" + literal(DYNAMIC, string(make_value().encode(), coded=True)), 99)
    upload = data(bytes(1439) + bait.ljust(1448, b"\0") + bytes(1000))
    value = make_value()
    for piece in cut(upload + connection.call(1, value)):
        connection.ask(piece)
    assert read_values(bpf) == [(1, value)]
    assert count_reasons(bpf) == {"http2_requests": 1, "transits_started": 1}


def test_frame_head_that_the_segment_cuts(bpf: Harness, port: int) -> None:
    """A head of nine bytes may be cut anywhere; nothing false comes of it, and later requests are found."""
    for at in range(1, HEAD_BYTES):
        connection = Connection(bpf, port).open()
        connection.client_seq = (connection.client_seq + at * 1_000_000) % 2**32
        connection.ask(PREFACE + settings())
        payload = data(bytes(30)) + connection.call(1, make_value())
        connection.ask(payload[: 39 + at])
        connection.ask(payload[39 + at :])
        read_values(bpf)
        bpf.start_afresh()
        value = make_value()
        connection.ask(connection.call(3, value))
        assert read_values(bpf) == [(3, value)], at


def test_segment_that_was_lost(bpf: Harness, port: int) -> None:
    """With a frame's head the next one's place is lost: a request that begins a segment is plausible, and counted."""
    connection = Connection(bpf, port).open()
    value = make_value()
    connection.lose(UPLOAD[:1448])
    for piece in cut(UPLOAD)[1:]:
        connection.ask(piece)
    assert bpf.counts() == {}
    connection.ask(connection.call(1, value))
    assert read_values(bpf) == [(1, value)]
    assert bpf.counts()["http2_uncertain"] == 1
    connection.ask(connection.call(3, make_value()))
    assert bpf.counts()["http2_uncertain"] == 1


def test_segment_that_was_lost_within_a_frame(bpf: Harness, port: int) -> None:
    """The frame's length was seen, so where it ends is known all the same."""
    connection = Connection(bpf, port).open()
    value = make_value()
    for number, piece in enumerate(cut(UPLOAD)):
        if number == 4:
            connection.lose(piece)
        else:
            connection.ask(piece)
    connection.ask(connection.call(1, value))
    assert read_values(bpf) == [(1, value)]
    assert bpf.counts().get("http2_uncertain", 0) == 0


def test_frame_that_goes_on_is_awaited_for_a_while(bpf: Harness, port: int) -> None:
    """Where its rest does not come it is let go, as the rest of a header block is; the frame's end stays known."""
    connection = Connection(bpf, port).open()
    connection.ask(UPLOAD[:1448])
    sweep_transits(bpf.fd("sweep"), 60_000_000_000)
    assert len(bpf.list_awaited()) == 1
    bpf.sweep()
    assert bpf.list_awaited() == {}
    connection.lose(UPLOAD[1448:])
    value = make_value()
    connection.ask(connection.call(1, value))
    assert read_values(bpf) == [(1, value)]
    assert bpf.counts().get("http2_uncertain", 0) == 0


def test_more_connections_than_places(bpf: Harness, port: int) -> None:
    """Of thousands of connections some lose their place to others: they are read by plausibility, and counted."""
    connections = [Connection(bpf, port, client=f"10.99.{n >> 8}.{n & 0xFF}").open() for n in range(6000)]
    bpf.start_afresh()
    for number, connection in enumerate(connections[::20]):
        value = make_value()
        connection.ask(connection.call(1, value))
        assert read_values(bpf) == [(1, value)], number
    assert 0 < bpf.counts()["http2_uncertain"] < 300


def test_connection_that_is_met_in_its_midst(bpf: Harness, port: int) -> None:
    """A segment inside DATA is nothing; the first that begins with a request is read, and counted as uncertain."""
    connection = Connection(bpf, port)
    pieces = cut(UPLOAD)
    connection.lose(b"".join(pieces[:3]))
    for piece in pieces[3:]:
        connection.ask(piece)
    assert read_values(bpf) == []
    value = make_value()
    connection.ask(connection.call(1, value))
    assert read_values(bpf) == [(1, value)]
    assert bpf.counts()["http2_uncertain"] >= 1


def test_connection_that_is_known_is_certain(bpf: Harness, port: int) -> None:
    """From the preface on, request for request, nothing is counted as uncertain."""
    connection = Connection(bpf, port).open()
    for stream in range(1, 40, 2):
        connection.ask(connection.call(stream, make_value()) + data(b"order", stream, end_stream=True))
        connection.answer(headers(connection.server_encoder.encode(ANSWER), stream) + data(b"apples", stream))
    assert bpf.counts().get("http2_uncertain", 0) == 0


def test_response_behind_a_long_frame(bpf: Harness, port: int) -> None:
    """The server's side has its own place: an answer behind the download of another stream is found."""
    connection = Connection(bpf, port).open()
    values = {stream: make_value() for stream in (1, 3)}
    for pair in values.items():
        connection.ask(connection.call(*pair))
    read_values(bpf)
    answers = [headers(connection.server_encoder.encode(ANSWER), stream) for stream in values]
    for piece in cut(answers[0] + UPLOAD + answers[1]):
        connection.answer(piece)
    assert read_values(bpf) == list(values.items())


def test_frame_of_a_type_that_is_not_known(bpf: Harness, port: int) -> None:
    """It is stepped over where its place is sure (RFC 9113 section 5.5)."""
    connection = Connection(bpf, port).open()
    value = make_value()
    connection.ask(window_update() + frame(0x10, b"u=1, i", stream=0) + connection.call(1, value))
    assert read_values(bpf) == [(1, value)]


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_preface(bpf: Harness, port: int, together: bool) -> None:  # noqa: FBT001
    """A client begins with it; what follows, in the same segment or the next, is HTTP/2."""
    connection = Connection(bpf, port)
    value = make_value()
    call = connection.call(1, value)
    if together:
        connection.ask(PREFACE + settings() + call)
    else:
        connection.ask(PREFACE)
        connection.ask(settings())
        connection.ask(call)
    assert read_values(bpf) == [(1, value)]
    assert count_reasons(bpf) == {"http2_requests": 1, "transits_started": 1}


@pytest.mark.parametrize(
    "start",
    [b"PRI * HTTP/2.0\r\n\r\n", b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", b"PRIVATE", b"PRI ", PREFACE[:-1] + b"x"],
)
def test_what_is_almost_the_preface(bpf: Harness, port: int, start: bytes) -> None:
    """Bytes that only begin so start no connection."""
    connection = Connection(bpf, port)
    connection.ask(start + connection.call(1, make_value()))
    assert read_values(bpf) == []


def test_upgrade_from_http_1(bpf: Harness, port: int) -> None:
    """The request in HTTP/1.1 and its 101 are measured, and so are the requests behind them in HTTP/2."""
    upgrade = http_request(
        f"traceparent: {TRACEPARENT}",
        "connection: upgrade, http2-settings",
        "upgrade: h2c",
        "http2-settings: AAMAAABk",
    )
    switching = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    connection = Connection(bpf, port)
    bpf.watch("pod_egress", request(upgrade, client_port=port, seq=connection.client_seq))
    connection.lose(upgrade)
    bpf.watch("pod_egress", response(switching, client_port=port, seq=ACK))
    bpf.sweep()
    connection.server_seq = ACK + len(switching)
    found = sorted(read_all(bpf))
    assert [(f.direction, f.stream, f.value[:55]) for f in found] == [(0, 0, TRACEPARENT), (1, 0, TRACEPARENT)]
    connection.answer(settings() + headers(connection.server_encoder.encode(ANSWER), 1))
    value = make_value()
    connection.ask(PREFACE + settings() + connection.call(3, value))
    connection.answer(headers(connection.server_encoder.encode(ANSWER), 3))
    assert [(f.direction, f.stream, f.value) for f in read_all(bpf)] == [(0, 3, value), (1, 3, value)]


def test_http_1_on_a_port_that_spoke_http_2(bpf: Harness, port: int) -> None:
    """A reused port: a request of HTTP/1.1 is read as ever."""
    connection = Connection(bpf, port).open()
    connection.ask(connection.call(1, make_value()))
    read_values(bpf)
    bpf.watch("pod_egress", request(traced_request(), client_port=port, seq=5, ack=5))
    bpf.sweep()
    (found,) = read_all(bpf)
    assert (found.stream, found.value[:55]) == (0, TRACEPARENT)
