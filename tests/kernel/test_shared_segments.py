"""Several messages in one segment, and segments that begin like a message and are none."""

import pytest

from node_probe.transit import Direction
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import (
    ACK,
    LATER_TIMESTAMPS,
    PARENT_ID,
    SEQ,
    TIMESTAMPS,
    TRACEPARENT,
    http_request,
    request,
    response,
    traced_request,
    vxlan,
)
from tests.kernel.segments import send, split

pytestmark = pytest.mark.bpf

HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FINAL = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\n\r\n"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


def upload(length: str, body: bytes = b"") -> bytes:
    return http_request(f"traceparent: {TRACEPARENT}", f"content-length: {length}", method="POST", body=body)


@pytest.mark.parametrize("method", METHODS)
def test_requests_behind_the_first_are_counted_once(bpf: Harness, port: int, method: str) -> None:
    """The first request of a segment is measured; however many are behind it, the segment is counted as pipelined."""
    behind = http_request(method=method) + traced_request()
    bpf.watch("pod_egress", request(traced_request() + behind, client_port=port))
    bpf.watch("pod_ingress", request(traced_request() + behind, client_port=port))
    (transit,) = bpf.read_transits()
    assert transit.seq == SEQ
    assert bpf.counts() == {"transits_started": 1, "transits_emitted": 1, "request_pipelined": 1}


@pytest.mark.parametrize(
    ("first", "counts"),
    [
        (http_request(), {"request_no_context": 1, "request_pipelined": 1}),
        (traced_request().replace(b"\r\n", b"\n"), {"transits_started": 1, "request_pipelined": 1}),
        # Behind a context that is not sampled the block is not walked to its end, and nobody asks what comes there.
        (traced_request(TRACEPARENT[:-2] + "00"), {"request_unsampled": 1}),
        (upload("0"), {"transits_started": 1, "request_pipelined": 1}),
        (upload("20", b"x" * 20), {"transits_started": 1, "request_pipelined": 1}),
        # What lies in a body may be anything, and so may what lies behind a length that is not to be believed.
        (upload("2000"), {"transits_started": 1}),
        (upload("x"), {"transits_started": 1}),
    ],
    ids=["untraced", "bare line feeds", "unsampled", "POST", "behind a body", "in a body", "length unknown"],
)
def test_what_the_first_is_decides_what_is_looked_for(
    bpf: Harness, port: int, first: bytes, counts: dict[str, int]
) -> None:
    """Another request is looked for behind a header block that was read to its end, or the body that follows."""
    bpf.watch("pod_egress", request(first + traced_request(), client_port=port))
    assert bpf.counts() == counts


@pytest.mark.parametrize("behind", [b"", b"\r\n", b"GE", b"GOT / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_other_bytes_behind_the_first_are_no_request(bpf: Harness, port: int, behind: bytes) -> None:
    """What does not begin like a request is not counted as one."""
    bpf.watch("pod_egress", request(traced_request() + behind, client_port=port))
    assert bpf.counts() == {"transits_started": 1}


def test_request_behind_the_end_of_a_block_over_two_segments(bpf: Harness, port: int) -> None:
    """A request that begins in the second segment of the one before is counted, too."""
    send(bpf, port, split(traced_request() + traced_request(), 50))
    assert bpf.counts() == {"transits_started": 1, "request_pipelined": 1}


@pytest.mark.parametrize("interim", [HINTS, CONTINUE, CONTINUE.replace(b"\r\n", b"\n")])
def test_final_response_behind_an_interim_one(bpf: Harness, port: int, interim: bytes) -> None:
    """The segment that holds both is measured as the final response, and the interim one is counted."""
    frame = response(interim + FINAL, client_port=port)
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.start_afresh()
    bpf.watch("nic_ingress", vxlan(frame))
    bpf.watch("pod_ingress", frame)
    (transit,) = bpf.read_transits()
    assert (transit.direction, transit.seq, [s.point for s in transit.stamps]) == (Direction.RESPONSE, ACK, [5, 8])
    assert transit.context.parent_id.hex() == PARENT_ID
    assert bpf.counts() == {"transits_started": 1, "transits_emitted": 1, "response_interim": 1}


def test_shared_segment_that_is_sent_again(bpf: Harness, port: int) -> None:
    """It is a transit of its own, or repeated within one tick, as other responses are, and interim every time."""
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.start_afresh()
    for options in (TIMESTAMPS, TIMESTAMPS, LATER_TIMESTAMPS):
        frame = response(HINTS + FINAL, client_port=port, options=options)
        bpf.watch("nic_ingress", vxlan(frame))
        bpf.watch("pod_ingress", frame)
    assert bpf.counts() == {"transits_started": 2, "transits_emitted": 2, "repeated": 1, "response_interim": 3}


@pytest.mark.parametrize("interims", [HINTS + CONTINUE, HINTS + HINTS, HINTS + b"HTT", HINTS[:-2]])
def test_exchange_waits_on_behind_interim_responses_alone(bpf: Harness, port: int, interims: bytes) -> None:
    """Where a segment shows no final response, that is what begins behind the segment."""
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.watch("nic_ingress", vxlan(response(interims, client_port=port)))
    bpf.watch("nic_ingress", vxlan(response(FINAL, client_port=port, seq=ACK + len(interims))))
    assert bpf.counts() == {"transits_started": 2, "response_interim": 1}


def test_switch_of_protocols_behind_an_interim_response(bpf: Harness, port: int) -> None:
    """101 is the final response wherever it begins, and what the client sends behind it is no request."""
    sent = traced_request()
    after = (SEQ + len(sent)) % 2**32
    bpf.watch("pod_egress", request(sent, client_port=port))
    bpf.watch("nic_ingress", vxlan(response(HINTS + SWITCHING, client_port=port, ack=after)))
    bpf.watch("pod_egress", request(sent, client_port=port, seq=after, ack=ACK + len(HINTS + SWITCHING)))
    assert bpf.counts() == {"transits_started": 2, "response_interim": 1, "request_pipelined": 1}


@pytest.mark.parametrize("name", ["CONNECTION", "TRACEPARENT", "OPTIONALLY", "PATCHWORK"])
def test_header_name_in_capitals_is_no_method(bpf: Harness, port: int, name: str) -> None:
    """A segment of a header block may begin with any line; its first four bytes are not enough for a method."""
    lines = f"{name}: close\r\ntraceparent: {TRACEPARENT}\r\n\r\n".encode()
    bpf.watch("pod_egress", request(lines, client_port=port))
    assert bpf.counts() == {}


@pytest.mark.parametrize("method", METHODS)
def test_method_that_is_cut_is_one(bpf: Harness, port: int, method: str) -> None:
    """Of a first segment that ends within the method, or right behind it, the rest is awaited."""
    whole = http_request(f"traceparent: {TRACEPARENT}", method=method)
    for cut in range(4, 9):
        bpf.start_afresh()
        for seq, data in split(whole, cut):
            bpf.watch("pod_egress", request(data, client_port=port, seq=(seq + 7000 * cut) % 2**32, ack=cut))
        assert bpf.counts() == {"transits_started": 1}, cut
