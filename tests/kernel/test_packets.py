"""Packet tables: one packet, the first point's program, and what it has to say. Every packet must pass unchanged."""

import struct

import pytest

from node_probe.transit import Direction, Point, Tunnel
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import (
    PARENT_ID,
    SEQ,
    SERVER,
    TIMESTAMPS,
    TRACE_ID,
    TRACEPARENT,
    TSVAL,
    ethernet,
    http_request,
    ipv4,
    request,
    response,
    tcp,
    traced_request,
)

pytestmark = pytest.mark.bpf

STARTED = {"transits_started": 1}
NOTHING: dict[str, int] = {}


def traced(value: str = TRACEPARENT, name: str = "traceparent", padding: int = 0) -> bytes:
    return request(traced_request(value, name, padding), client_port=0)


NO_OPERATIONS = b"\x01" * 4
SACK = b"\x01\x01\x05\x0a" + struct.pack("!II", 5, 9)
"""A block of selective acknowledgement in front of the timestamps, as no common sender has it."""

REQUESTS: list[tuple[str, bytes, dict[str, int], int]] = [
    # description, frame (its client port is replaced), counters that move, TSval of the transit
    ("a traced request", traced(), STARTED, TSVAL),
    ("name in other case", traced(name="TraceParent"), STARTED, TSVAL),
    ("name in capitals", traced(name="TRACEPARENT"), STARTED, TSVAL),
    ("no white space before the value", request(http_request(f"traceparent:{TRACEPARENT}")), STARTED, TSVAL),
    ("much white space before the value", request(http_request(f"traceparent: \t   {TRACEPARENT}")), STARTED, TSVAL),
    ("lines that end with LF alone", request(traced_request().replace(b"\r\n", b"\n")), STARTED, TSVAL),
    (
        "one-letter headers in front",
        request(http_request("a:", "b:", "c:", f"traceparent: {TRACEPARENT}")),
        STARTED,
        TSVAL,
    ),
    ("random flag beside sampled", traced(TRACEPARENT[:-2] + "03"), STARTED, TSVAL),
    ("flags in letters, sampled", traced(TRACEPARENT[:-2] + "0b"), STARTED, TSVAL),
    ("a later version with more behind", traced("cc" + TRACEPARENT[2:] + "-more"), STARTED, TSVAL),
    ("context as the last line", request(http_request(f"traceparent: {TRACEPARENT}")), STARTED, TSVAL),
    (
        "a body behind the block",
        request(http_request(f"traceparent: {TRACEPARENT}", body=b"x" * 900)),
        STARTED,
        TSVAL,
    ),
    ("context 3 KiB deep (a test run takes no more than a page)", traced(padding=3000), STARTED, TSVAL),
    ("no timestamps", request(traced_request(), options=b""), STARTED, 0),
    (
        "timestamps behind no-operations",
        request(traced_request(), options=NO_OPERATIONS + TIMESTAMPS),
        STARTED,
        TSVAL,
    ),
    ("timestamps behind another option", request(traced_request(), options=SACK + TIMESTAMPS), STARTED, TSVAL),
    ("options without timestamps", request(traced_request(), options=SACK), STARTED, 0),
    ("an option of no length", request(traced_request(), options=b"\x05\x00" * 6), STARTED, 0),
    ("list of options ended early", request(traced_request(), options=b"\x00" * 4 + TIMESTAMPS), STARTED, 0),
    ("IP options", request(traced_request(), ip_options=b"\x01" * 8), STARTED, TSVAL),
    ("IP options, no TCP options", request(traced_request(), ip_options=b"\x01" * 40, options=b""), STARTED, 0),
]

LEFT_ALONE: list[tuple[str, bytes, dict[str, int]]] = [
    ("unsampled", traced(TRACEPARENT[:-2] + "00"), {"request_unsampled": 1}),
    ("flags in letters, unsampled", traced(TRACEPARENT[:-2] + "0a"), {"request_unsampled": 1}),
    ("no context", request(http_request("accept: */*")), {"request_no_context": 1}),
    ("a name that merely ends like one", traced(name="ce-traceparent"), {"request_no_context": 1}),
    ("a name that merely begins like one", traced(name="traceparents"), {"request_no_context": 1}),
    (
        "context in the body alone",
        request(http_request(body=b"\r\ntraceparent: " + TRACEPARENT.encode() + b"\r\n")),
        {"request_no_context": 1},
    ),
    (
        "context in the request target",
        request(http_request().replace(b"/cart", b"/traceparent: " + TRACEPARENT.encode())),
        {"request_no_context": 1},
    ),
    (
        "context behind a vertical tab",
        request(http_request(f"a: b\x0btraceparent: {TRACEPARENT}")),
        {"request_no_context": 1},
    ),
    ("dashes elsewhere", traced(TRACEPARENT.replace("-", "_")), {"request_bad_context": 1}),
    ("too short", traced("00-abc-def-01" + " " * 60), {"request_bad_context": 1}),
    ("TLS handshake", request(b"\x16\x03\x01\x02\x00" + b"\x01" * 100), {"tls_seen": 1}),
    ("TLS application data", request(b"\x17\x03\x03\x02\x00" + b"\x01" * 100), {"tls_seen": 1}),
    ("response nobody asked for", response(ack=1, seq=1), {"response_no_exchange": 1}),
    ("not HTTP", request(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), NOTHING),
    ("a method in lower case", request(b"get / HTTP/1.1\r\n\r\n" + b"x" * 60), NOTHING),
    ("acknowledgement alone", request(b""), NOTHING),
    ("acknowledgement padded to Ethernet's minimum", request(b"", options=b"") + b"\0" * 6, NOTHING),
    ("truncated within TCP", request(traced_request())[:50], NOTHING),
    ("truncated before TCP's options", request(traced_request())[:40], NOTHING),
    ("UDP", ethernet(ipv4(b"GET / HTTP/1.1\r\n" * 8, 17, "10.0.0.1", "10.0.0.2")), NOTHING),
    ("later fragment", request(traced_request(), fragment=185), NOTHING),
    ("IPv6 packet by its type alone", ethernet(bytes(100), 0x86DD), NOTHING),
    ("ARP", ethernet(bytes(46), 0x0806), NOTHING),
    (
        "IP header length below its minimum",
        ethernet(b"\x42" + ipv4(tcp(traced_request(), (1, 2), 3, 4), 6, "10.0.0.1", SERVER)[1:]),
        NOTHING,
    ),
]


def with_port(frame: bytes, port: int) -> bytes:
    """Return the frame with another client port, wherever its IP options put it."""
    if len(frame) < 60 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return frame
    at = 14 + (frame[14] & 0xF) * 4
    at += 2 if b"HTTP/1.1 200" in frame else 0
    return frame[:at] + struct.pack("!H", port) + frame[at + 2 :]


@pytest.mark.parametrize(
    ("frame", "counts", "tsval"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS]
)
def test_request_starts_transit(bpf: Harness, port: int, frame: bytes, counts: dict[str, int], tsval: int) -> None:
    """A traced request is stamped at its first point and handed over at its last, with its context."""
    frame = with_port(frame, port)
    bpf.watch("pod_egress", frame)
    assert bpf.counts() == counts
    assert bpf.read_transits() == []
    bpf.watch("pod_ingress", frame)
    (transit,) = bpf.read_transits()
    assert transit.context.trace_id.hex() == TRACE_ID
    assert transit.context.parent_id.hex() == PARENT_ID
    assert (transit.direction, transit.seq, transit.tsval) == (Direction.REQUEST, SEQ, tsval)
    assert (transit.client_port, transit.server_port) == (port, 80)
    assert [s.point for s in transit.stamps] == [Point.POD_EGRESS, Point.POD_INGRESS]
    assert transit.stamps[0].monotonic_ns <= transit.stamps[1].monotonic_ns
    assert transit.tunnel == Tunnel.NONE


@pytest.mark.parametrize(("frame", "counts"), [row[1:] for row in LEFT_ALONE], ids=[row[0] for row in LEFT_ALONE])
def test_packet_is_left_alone(bpf: Harness, port: int, frame: bytes, counts: dict[str, int]) -> None:
    """What is no traced message starts nothing, and is counted under its reason where a transit could have been."""
    for program in ("pod_egress", "veth_ingress", "pod_ingress"):
        bpf.watch(program, with_port(frame, port))
    assert bpf.counts() == counts
    assert bpf.read_transits() == []
