"""Header blocks over several segments: the first is stamped before a later one brings its context."""

import pytest

from node_probe.transit import Direction, Point, TransitFlag
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import (
    PARENT_ID,
    SEQ,
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


def test_context_comes_when_the_first_segment_has_left(bpf: Harness, port: int) -> None:
    """The first segment's record is kept behind its last point until the second has brought the context."""
    first, second = split(LONG, 1400)
    for program in ("pod_egress", "veth_ingress", "pod_ingress"):
        send(bpf, port, [first], program)
    assert bpf.read_transits() == []
    for program in ("pod_egress", "veth_ingress", "pod_ingress"):
        send(bpf, port, [second], program)
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [Point.POD_EGRESS, Point.VETH_INGRESS, Point.POD_INGRESS]
    assert (transit.seq, transit.tsval, transit.flags) == (SEQ, TSVAL, TransitFlag.SEGMENTS)
    assert transit.context.parent_id.hex() == PARENT_ID
    assert bpf.counts() == {"transits_started": 1, "transits_emitted": 1}
    assert bpf.count_contexts() == {"traceparent": 1}
    assert bpf.list_awaited() == {}


def test_context_comes_while_the_first_segment_is_under_way(bpf: Harness, port: int) -> None:
    """Where the context came first, the last point hands the record out."""
    first, second = split(LONG, 1400)
    send(bpf, port, [first, second])
    assert bpf.read_transits() == []
    send(bpf, port, [first], "pod_ingress")
    assert bpf.read_parents() == [PARENT_ID]
    assert bpf.list_awaited() == {}


def test_every_cut(bpf: Harness, port: int) -> None:
    """Name and value may be cut anywhere; four bytes are enough to know a request."""
    payload = http_request("a: b", f"TraceParent: \t{TRACEPARENT}", "accept: */*")
    for cut in range(4, len(payload)):
        bpf.start_afresh()
        frames = [
            request(data, seq=(seq + 7000 * cut) % 2**32, ack=cut, client_port=port)
            for seq, data in split(payload, cut)
        ]
        for program in ("pod_egress", "pod_ingress"):
            for frame in frames:
                bpf.watch(program, frame)
        assert bpf.read_parents() == [PARENT_ID], payload[:cut]
        assert bpf.counts() == {"transits_started": 1, "transits_emitted": 1}


def test_short_segments_without_timestamps(bpf: Harness, port: int) -> None:
    """Without the option a request of four bytes is known all the same."""
    payload = traced_request()
    for seq, data in split(payload, 4, 40, 60, 90):
        bpf.watch("pod_egress", request(data, seq=seq, client_port=port, options=b""))
    bpf.watch("pod_ingress", request(payload[:4], client_port=port, options=b""))
    assert bpf.read_parents() == [PARENT_ID]


@pytest.mark.parametrize(
    ("lines", "parent"),
    [
        ((f"b3: {'a' * 32}-{PARENT_ID}-1",), PARENT_ID),
        ((f"X-B3-TraceId: {'a' * 32}", "x: " + "y" * 100, f"X-B3-SpanId: {PARENT_ID}", "X-B3-Sampled: 1"), PARENT_ID),
        ((f"uber-trace-id: {'a' * 32}%3A{PARENT_ID}%3A0%3A1",), PARENT_ID),
    ],
    ids=["b3", "b3multi", "uber-trace-id"],
)
def test_every_format_is_read_across_segments(bpf: Harness, port: int, lines: tuple[str, ...], parent: str) -> None:
    """Lines that lie in different segments, and lines that are cut, make one context."""
    payload = http_request(*lines)
    send(bpf, port, split(payload, 60, 110, 150))
    send(bpf, port, split(payload, 60)[:1], "pod_ingress")
    assert bpf.read_parents() == [parent]


@pytest.mark.parametrize("count", [3, 4, 8])
def test_several_segments(bpf: Harness, port: int, count: int) -> None:
    """The context may be in the last of eight."""
    payload = http_request("x: " + "y" * 2000, f"traceparent: {TRACEPARENT}")
    cuts = [len(payload) - 40 - 100 * number for number in reversed(range(count - 1))]
    send(bpf, port, split(payload, *cuts))
    send(bpf, port, split(payload, *cuts)[:1], "pod_ingress")
    assert bpf.read_parents() == [PARENT_ID]
    assert bpf.list_awaited() == {}


def test_too_many_segments(bpf: Harness, port: int) -> None:
    """What goes on behind the eighth is given up, and counted as too long."""
    payload = http_request("x: " + "y" * 900, f"traceparent: {TRACEPARENT}")
    send(bpf, port, split(payload, *range(100, 900, 100)))
    assert bpf.counts() == {"request_too_long": 1}
    assert bpf.list_transits() == {}
    assert bpf.list_awaited() == {}


@pytest.mark.parametrize(
    ("padding", "counts"), [(7900, {"transits_started": 1}), (8300, {"request_too_long": 1})], ids=["8 KiB", "more"]
)
def test_limit_of_the_block(bpf: Harness, port: int, padding: int, counts: dict[str, int]) -> None:
    """8 KiB of header block are read, however they are cut; what is longer is counted."""
    payload = http_request("x: " + "y" * padding, f"traceparent: {TRACEPARENT}")
    send(bpf, port, split(payload, 1448, 2896, 4344, 5792, 7240))
    assert bpf.counts() == counts


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (traced_request(TRACEPARENT[:-1] + "0", padding=200), "request_unsampled"),
        (http_request("x: " + "y" * 200), "request_no_context"),
        (http_request("x: " + "y" * 200, "traceparent: " + "x" * 60), "request_bad_context"),
        (traced_request(padding=200).replace(b"accept:", b"traceparent:"), "request_bad_context"),
    ],
    ids=["unsampled", "none", "bad", "two"],
)
def test_no_use(bpf: Harness, port: int, payload: bytes, reason: str) -> None:
    """A request that turns out to be of no use is counted once, and leaves no transit behind."""
    send(bpf, port, split(payload, 100, 150))
    send(bpf, port, split(payload, 100, 150), "pod_ingress")
    assert bpf.counts() == {reason: 1}
    assert bpf.list_transits() == {}
    bpf.sweep()
    assert bpf.counts() == {reason: 1}
    assert bpf.list_awaited() == {}


@pytest.mark.parametrize(
    "payload",
    [
        traced_request()[:-60],
        http_request()[:-2] + b"tracepar",
        http_request()[:-2] + b"x-more: " + b"a" * 500,
    ],
    ids=["within the value", "within the name", "behind"],
)
@pytest.mark.parametrize("last", ["veth_ingress", "pod_ingress"])
def test_rest_never_comes(bpf: Harness, port: int, payload: bytes, last: str) -> None:
    """A request whose block does not go on is swept, and counted: nobody knows whether it was sampled."""
    for program in ("pod_egress", last):
        bpf.watch(program, request(payload, client_port=port))
    assert bpf.counts() == {}
    bpf.sweep()
    assert bpf.counts() == {"request_unfinished": 1}
    assert bpf.read_transits() == []
    assert bpf.list_awaited() == {}


def test_segments_of_several_connections_between_each_other(bpf: Harness, port: int) -> None:
    """Each connection has a block of its own."""
    payloads = [
        traced_request(TRACEPARENT.replace(PARENT_ID, f"{number:016x}"), padding=300) for number in range(1, 6)
    ]
    frames = [
        [
            request(data, seq=seq, client_port=port, client=f"10.244.1.{number}")
            for seq, data in split(payload, 90, 200)
        ]
        for number, payload in enumerate(payloads, 1)
    ]
    for step in range(3):
        for connection in frames:
            bpf.watch("pod_egress", connection[step])
    for connection in frames:
        bpf.watch("pod_ingress", connection[0])
    assert bpf.read_parents() == [f"{number:016x}" for number in range(1, 6)]


def test_response_finds_it(bpf: Harness, port: int) -> None:
    """The exchange is entered when the context has come."""
    send(bpf, port, split(LONG, 1400))
    bpf.watch("nic_ingress", vxlan(response(client_port=port)))
    bpf.watch("pod_ingress", response(client_port=port))
    (transit,) = bpf.read_transits()
    assert transit.direction == Direction.RESPONSE
    assert transit.context.parent_id.hex() == PARENT_ID
