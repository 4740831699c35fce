"""Header blocks over several segments that come again, late, out of order, or in floods."""

import pytest

from node_probe.transit import TransitFlag
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import (
    ACK,
    LATER_TIMESTAMPS,
    PARENT_ID,
    TIMESTAMPS,
    TRACEPARENT,
    TSVAL,
    http_request,
    request,
    response,
    traced_request,
    vxlan,
)
from tests.kernel.segments import LONG, send, split

pytestmark = pytest.mark.bpf


def test_first_segment_is_sent_again(bpf: Harness, port: int) -> None:
    """A first segment alone that is sent again needs no second one: its context is known by then."""
    first, second = split(LONG, 1400)
    send(bpf, port, [first, second])
    again = request(first[1], client_port=port, options=LATER_TIMESTAMPS)
    bpf.watch("pod_egress", again)
    bpf.watch("pod_ingress", again)
    (transit,) = bpf.read_transits()
    assert (transit.tsval, transit.flags) == (TSVAL + 200, TransitFlag.SEGMENTS)
    assert bpf.counts() == {"transits_started": 2, "transits_emitted": 1}


def test_segment_is_sent_again_within_one_tick(bpf: Harness, port: int) -> None:
    """The same segment twice is the same request, and what follows goes on with it once."""
    first, second = split(LONG, 1400)
    send(bpf, port, [first, first, second, second, first])
    assert bpf.counts() == {"transits_started": 1, "repeated": 2, "transits_swept": 1}


def test_second_segment_comes_first(bpf: Harness, port: int) -> None:
    """What overtakes its first segment is not known for what it is; the request is counted as unfinished."""
    first, second = split(LONG, 1400)
    send(bpf, port, [second, first])
    bpf.sweep()
    assert bpf.counts() == {"request_unfinished": 1}
    assert bpf.list_awaited() == {}


def test_second_segment_that_looks_like_a_request(bpf: Harness, port: int) -> None:
    """Where a header's value is cut before what could begin a request, that is still the value."""
    inside = TRACEPARENT.replace(PARENT_ID, "00f067aa0ba902b7")
    head = http_request()[:-2] + b"x-note: "
    tail = f"GET / HTTP/1.1\r\nx: y\r\ntraceparent: {inside}\r\n\r\n".encode()
    send(bpf, port, split(head + tail, len(head)))
    send(bpf, port, split(head + tail, len(head))[:1], "pod_ingress")
    assert bpf.read_parents() == ["00f067aa0ba902b7"]
    assert bpf.counts() == {"transits_started": 1, "transits_emitted": 1}


def test_padding_of_a_short_frame_is_no_header(bpf: Harness, port: int) -> None:
    """Ethernet fills up short frames; what it adds is no part of the block."""
    first, second = split(traced_request(), 5)
    bpf.watch("pod_egress", request(first[1], client_port=port, options=b"") + b"\n")
    bpf.watch("pod_egress", request(second[1], seq=second[0], client_port=port, options=b""))
    assert bpf.counts() == {"transits_started": 1}


def test_flood_of_unfinished_requests_is_bounded(bpf: Harness, port: int) -> None:
    """Whoever begins a thousand requests and ends none takes no more than the table holds, and all are counted."""
    for number in range(1000):
        bpf.watch("pod_egress", request(http_request()[:-2], seq=number * 1000, ack=number, client_port=port))
    send(bpf, port + 1, split(LONG, 1400))
    assert bpf.counts() == {"transits_started": 1}
    bpf.sweep()
    assert bpf.counts() == {"transits_started": 1, "transits_swept": 1, "request_unfinished": 1000}
    assert bpf.list_awaited() == {}


def test_unfinished_requests_count_against_the_rate(bpf: Harness, port: int) -> None:
    """They take room like transits, so they are limited like them."""
    bpf.configure(rate_limit=23)
    for number in range(101):
        packet = request(http_request()[:-2], seq=number * 1000, ack=number, client_port=port, client="10.244.9.9")
        bpf.watch("nic_ingress", vxlan(packet))
    assert bpf.counts()["rate_limited"] >= 55


def test_keep_alive_with_long_headers(bpf: Harness, port: int) -> None:
    """Request after request of one connection, each over two segments, has its own context."""
    seq, ack = 1000, ACK
    for number in range(1, 4):
        payload = traced_request(TRACEPARENT.replace(PARENT_ID, f"{number:016x}"), padding=500)
        for start, data in ((0, payload[:200]), (200, payload[200:])):
            bpf.watch("pod_egress", request(data, seq=seq + start, ack=ack, client_port=port, options=TIMESTAMPS))
        bpf.watch("pod_ingress", request(payload[:200], seq=seq, ack=ack, client_port=port))
        bpf.watch("nic_ingress", vxlan(response(seq=ack, client_port=port)))
        seq, ack = seq + len(payload), ack + 38
    assert bpf.read_parents() == [f"{number:016x}" for number in range(1, 4)]


def test_acknowledgement_between_the_segments(bpf: Harness, port: int) -> None:
    """A packet without payload has the number of the next byte, and does not stand for it."""
    first, second = split(LONG, 1400)
    send(bpf, port, [first, (second[0], b""), second])
    assert bpf.counts() == {"transits_started": 1}
