"""Transits of HTTP/2 messages: every point, both ways, sent again, cut anew, swept; and nothing stays awaited."""

import ipaddress

import pytest

from node_probe.kernel_record import EARLIER_SHIFT
from node_probe.transit import Point, TransitFlag
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_blocks import ANSWER, C_CORE, GO, Encoder, Style, traced
from tests.kernel.http2_frames import data, grpc_message, headers, window_update
from tests.kernel.http2_talk import STREAMS_MAX, Connection, count_reasons, make_value, read_all, read_found
from tests.kernel.packets import (
    CLIENT,
    CLIENT_6,
    LATER_TIMESTAMPS,
    NODE_1,
    NODE_2,
    SEQ,
    SERVER,
    SERVER_6,
    TSVAL,
)
from tests.kernel.segments import split

pytestmark = pytest.mark.bpf

OUT = ("pod_egress", "veth_ingress", "overlay_egress", "nic_egress")
IN = ("nic_ingress", "overlay_ingress", "veth_egress", "pod_ingress")
LOCAL = ("veth_ingress_first", "veth_egress_last")
MESSAGE = data(grpc_message(b"3 apples"))


def mapped(address: str) -> bytes:
    ip = ipaddress.ip_address(address)
    return ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed


@pytest.mark.parametrize(("client", "server"), [(CLIENT, SERVER), (CLIENT_6, SERVER_6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("style", [GO, C_CORE], ids=lambda style: style.name)
def test_whole_way_of_a_call_over_the_overlay(
    bpf: Harness, port: int, style: Style, client: str, server: str
) -> None:
    """Request and response leave one record each at each node, with all its points and the tunnel around them."""
    connection = Connection(bpf, port, style, client=client, server=server)
    value = make_value()
    start = connection.ask(connection.call(1, value) + MESSAGE, *OUT)
    (sent,) = read_all(bpf)
    assert [int(point) for point in sent.points] == [1, 2, 3, 4]
    assert (sent.stream, sent.value, sent.seq, sent.tsval, sent.flags) == (1, value, start, TSVAL, 0)
    assert sent.client == port.to_bytes(2) + mapped(client)
    assert sent.server == (80).to_bytes(2) + mapped(server)
    assert sent.outer == mapped(NODE_1) + mapped(NODE_2)
    start = connection.answer(headers(connection.server_encoder.encode(ANSWER)) + MESSAGE, *IN)
    (back,) = read_all(bpf)
    assert [int(point) for point in back.points] == [5, 6, 7, 8]
    assert (back.stream, back.value, back.seq, back.client, back.server) == (
        1,
        value,
        start,
        sent.client,
        sent.server,
    )
    assert count_reasons(bpf) == {"http2_requests": 1, "transits_started": 2}
    assert bpf.list_awaited() == {}


def test_other_node_measures_the_same_message(bpf: Harness, port: int) -> None:
    """Where the request comes in from the wire its record has the same number, and the response finds it there."""
    connection = Connection(bpf, port)
    value = make_value()
    start = connection.ask(connection.call(1, value), *IN)
    connection.answer(headers(connection.server_encoder.encode(ANSWER)), *OUT)
    request, response = read_all(bpf)
    assert ([*map(int, request.points)], request.seq, request.value) == ([5, 6, 7, 8], start, value)
    assert ([*map(int, response.points)], response.value) == ([1, 2, 3, 4], value)


def test_without_pod_points(bpf: Harness, port: int) -> None:
    """The host's end of the pod's device is first and last."""
    connection = Connection(bpf, port)
    value = make_value()
    connection.ask(connection.call(1, value), *LOCAL)
    connection.answer(headers(connection.server_encoder.encode(ANSWER)), *LOCAL)
    for found in read_all(bpf):
        assert (found.points, found.value) == ((Point.VETH_INGRESS, Point.VETH_EGRESS), value)
    assert count_reasons(bpf) == {"http2_requests": 1, "transits_started": 2}


@pytest.mark.parametrize("count", [1, 2, 3, 4, STREAMS_MAX])
def test_all_messages_of_a_segment_have_its_stamps(bpf: Harness, port: int, count: int) -> None:
    """One packet was measured, so the records of one segment differ in context, stream and number alone."""
    connection = Connection(bpf, port)
    streams = range(1, 2 * count, 2)
    values = {stream: make_value() for stream in streams}
    connection.ask(b"".join(connection.call(stream, value) for stream, value in values.items()), *OUT)
    stamps = set()
    found = []
    for data_ in bpf.read_ring():
        found.append(read_found(data_))
        stamps.add(data_[88:184])
    assert {f.stream: f.value for f in found} == values
    assert {f.points for f in found} == {(1, 2, 3, 4)}
    assert len(stamps) == 1
    answers = b"".join(headers(connection.server_encoder.encode(ANSWER), stream) for stream in streams)
    connection.answer(answers, *IN)
    assert {f.stream: f.value for f in read_all(bpf)} == values
    assert bpf.list_awaited() == {}


def test_request_that_is_sent_again(bpf: Harness, port: int) -> None:
    """With a new TSval it is a transit of its own; within one tick it is counted, and the first stays."""
    connection = Connection(bpf, port)
    value = make_value()
    payload = connection.call(1, value)
    start = connection.ask(payload, *OUT)
    for options in (LATER_TIMESTAMPS, LATER_TIMESTAMPS):
        connection.client_seq = start
        connection.ask(payload, "pod_egress", options=options)
    bpf.sweep()
    first, again = read_all(bpf)
    assert (first.value, first.seq, first.tsval) == (value, start, TSVAL)
    assert (again.value, again.seq, again.tsval) == (value, start, TSVAL + 200)
    assert again.flags == TransitFlag.PARTIAL | 1 << EARLIER_SHIFT
    assert count_reasons(bpf) == {"http2_requests": 2, "transits_started": 2, "repeated": 1}
    assert bpf.list_awaited() == {}


def test_packet_that_was_lost_and_is_sent_again_without_timestamps(bpf: Harness, port: int) -> None:
    """The second cannot be told from the first: all messages of the first end where it was seen last."""
    connection = Connection(bpf, port)
    values = {stream: make_value() for stream in (1, 3)}
    payload = b"".join(connection.call(*pair) for pair in values.items())
    start = connection.ask(payload, "pod_egress", "veth_ingress", options=b"")
    connection.client_seq = start
    connection.ask(payload, *OUT, options=b"")
    assert [(f.stream, f.value, f.points, f.flags) for f in read_all(bpf)] == [
        (stream, value, (1, 2), TransitFlag.PARTIAL) for stream, value in values.items()
    ]
    assert count_reasons(bpf) == {"http2_requests": 2, "transits_started": 2, "repeated": 1}


def test_request_without_timestamps(bpf: Harness, port: int) -> None:
    """Segments of a connection without the option are measured, and known again by their number."""
    connection = Connection(bpf, port)
    value = make_value()
    connection.ask(connection.call(1, value), *OUT, options=b"")
    (found,) = read_all(bpf)
    assert (found.value, found.tsval, len(found.points)) == (value, 0, 4)


def test_segments_that_are_cut_anew(bpf: Harness, port: int) -> None:
    """GSO and GRO cut the same bytes elsewhere: the messages have the same numbers at every node."""
    values = {stream: make_value() for stream in (1, 3)}
    encoder = Encoder(GO)
    first, second = (headers(encoder.encode(traced(value=value)), stream) for stream, value in values.items())
    payload = first + data(bytes(1500), 1) + window_update() + second + data(bytes(900), 3)
    at = payload.index(second)
    cuttings = ((), (1448,), (at,), (500, at - 13), (len(first), at), (400, at - 20, at + 300))
    for number, cuts in enumerate(cuttings):
        connection = Connection(bpf, port, client=f"10.244.7.{number}")
        for seq, piece in split(payload, *cuts):
            connection.client_seq = seq
            connection.ask(piece, *IN)
        expected = {(1, values[1], SEQ, (5, 6, 7, 8)), (3, values[3], (SEQ + at) % 2**32, (5, 6, 7, 8))}
        assert {(f.stream, f.value, f.seq, f.points) for f in read_all(bpf)} == expected, cuts
        bpf.sweep()
        assert bpf.list_awaited() == {}


def test_packet_that_meets_no_last_point(bpf: Harness, port: int) -> None:
    """All messages of the segment are swept, marked partial."""
    connection = Connection(bpf, port)
    values = {stream: make_value() for stream in (1, 3, 5)}
    connection.ask(b"".join(connection.call(*pair) for pair in values.items()), "pod_egress", "veth_ingress")
    assert read_all(bpf) == []
    bpf.sweep()
    found = read_all(bpf)
    assert {f.stream: f.value for f in found} == values
    assert {(f.points, f.flags) for f in found} == {((1, 2), TransitFlag.PARTIAL)}
    assert bpf.list_transits() == {}
    assert bpf.list_awaited() == {}


def test_segments_that_start_nothing_leave_nothing(bpf: Harness, port: int) -> None:
    """Nothing is awaited that never comes: not behind a sweep."""
    connection = Connection(bpf, port)
    for stream in range(1, 60, 2):
        connection.ask(connection.call(stream, make_value()) + data(bytes(9000), stream)[:400], "pod_egress")
    bpf.sweep()
    assert bpf.list_transits() == {}
    assert bpf.list_awaited() == {}


def test_rate_limit_holds_for_each_context(bpf: Harness, port: int) -> None:
    """Four requests in a segment are four transits, for the limit of who sends them, too."""
    bpf.configure(rate_limit=6)
    connection = Connection(bpf, port, client="10.244.9.9")
    for number in range(3):
        connection.ask(b"".join(connection.call(8 * number + 2 * n + 1, make_value()) for n in range(4)))
    counts = count_reasons(bpf)
    assert counts["transits_started"] + counts["rate_limited"] == 12
    assert counts["transits_started"] <= 8
