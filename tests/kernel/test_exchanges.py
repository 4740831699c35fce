"""Stories of several packets through the programs: the way over the overlay, repetitions, connections, limits."""

import pytest

from node_probe.transit import Direction, Point, TransitFlag, Tunnel
from tests.kernel.bpf_harness import Harness
from tests.kernel.packets import (
    ACK,
    LATER_TIMESTAMPS,
    PARENT_ID,
    SEQ,
    TIMESTAMPS,
    TRACEPARENT,
    TSVAL,
    http_request,
    make_timestamps,
    request,
    response,
    traced_request,
    vxlan,
)

pytestmark = pytest.mark.bpf

STARTED = {"transits_started": 1}


def test_methods(bpf: Harness, port: int) -> None:
    """Every method of RFC 9110 and PATCH begins a request."""
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
    for number, method in enumerate(methods):
        payload = http_request(f"traceparent: {TRACEPARENT}", method=method)
        bpf.watch("pod_egress", request(payload, client_port=port, seq=number * 1000, ack=number))
    assert bpf.counts() == {"transits_started": len(methods)}


def test_whole_way_over_the_overlay(bpf: Harness, port: int) -> None:
    """A request and its response leave one record on each side, with all points in order and the outer addresses."""
    sent = request(traced_request(), client_port=port)
    for program, frame in (
        ("pod_egress", sent),
        ("veth_ingress", sent),
        ("overlay_egress", request(traced_request(), client_port=port, server="10.244.2.10")),
        ("nic_egress", vxlan(request(traced_request(), client_port=port, server="10.244.2.10"), vni=7)),
    ):
        bpf.watch(program, frame)
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [1, 2, 3, 4]
    assert transit.server_address[12:] == bytes([10, 96, 0, 20])  # as at the first point, before DNAT
    assert (transit.tunnel, transit.vni) == (Tunnel.VXLAN, 7)
    assert transit.outer_source[12:] == bytes([172, 30, 0, 1])
    back = response(client_port=port)
    for program, frame in (
        ("nic_ingress", vxlan(back, source="172.30.0.2", destination="172.30.0.1")),
        ("overlay_ingress", back),
        ("veth_egress", back),
        ("pod_ingress", back),
    ):
        bpf.watch(program, frame)
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [5, 6, 7, 8]
    assert (transit.direction, transit.seq) == (Direction.RESPONSE, ACK)
    assert transit.context.parent_id.hex() == PARENT_ID
    assert transit.outer_source[12:] == bytes([172, 30, 0, 2])
    assert bpf.list_transits() == {}


def test_without_pod_points(bpf: Harness, port: int) -> None:
    """Without pod points the host's end of the veth is the first and the last point."""
    frame = request(traced_request(), client_port=port)
    bpf.watch("veth_ingress_first", frame)
    bpf.watch("veth_egress_last", frame)
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [Point.VETH_INGRESS, Point.VETH_EGRESS]


def test_underlay_without_overlay(bpf: Harness, port: int) -> None:
    """At the underlay device a packet outside any tunnel is itself the packet."""
    frame = request(traced_request(), client_port=port)
    bpf.watch("pod_egress", frame)
    bpf.watch("nic_egress", frame)
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [Point.POD_EGRESS, Point.NIC_EGRESS]
    assert transit.tunnel == Tunnel.NONE


@pytest.mark.parametrize(("port_number", "seen"), [(8472, True), (4789, True), (4790, False), (53, False)])
def test_tunnel_ports_are_those_configured(bpf: Harness, port: int, port_number: int, seen: bool) -> None:  # noqa: FBT001
    """Only UDP packets to a port of a vxlan device are opened."""
    bpf.configure(8472, 4789)
    bpf.watch("nic_ingress", vxlan(request(traced_request(), client_port=port), port=port_number))
    assert bpf.counts() == (STARTED if seen else {})


def test_retransmission_is_a_transit_of_its_own(bpf: Harness, port: int) -> None:
    """The same bytes with a new TSval are measured again; with the same TSval they are counted as a repetition."""
    first = request(traced_request(), client_port=port)
    again = request(traced_request(), client_port=port, options=LATER_TIMESTAMPS)
    for frame in (first, first, again):
        bpf.watch("pod_egress", frame)
        bpf.watch("pod_ingress", frame)
    assert [(transit.tsval, transit.earlier) for transit in bpf.read_transits()] == [(TSVAL, 0), (TSVAL + 200, 1)]
    assert bpf.counts() == {"transits_started": 2, "transits_emitted": 2, "repeated": 1}


def test_retransmitted_response(bpf: Harness, port: int) -> None:
    """A response that is sent again finds its exchange again; within one tick of TSval it is counted as repeated."""
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.start_afresh()
    for options in (TIMESTAMPS, TIMESTAMPS, LATER_TIMESTAMPS):
        bpf.watch("nic_ingress", vxlan(response(client_port=port, options=options)))
    assert bpf.counts() == {"transits_started": 2, "repeated": 1, "transits_swept": 1}


def test_record_says_how_often_its_message_was_sent_before(bpf: Harness, port: int) -> None:
    """The lost sendings wait for the sweep, and the one that arrives does not; of more than 15 it says 15."""
    for number in range(20):
        later = make_timestamps(TSVAL + 200 * number)
        bpf.watch("pod_egress", request(traced_request(), client_port=port, options=later))
        bpf.watch("nic_ingress", vxlan(response(client_port=port, options=later)))
    for program, frame in (
        ("pod_ingress", request(traced_request(), client_port=port, options=later)),
        ("pod_ingress", response(client_port=port, options=later)),
    ):
        bpf.watch(program, frame)
    assert [(t.direction, t.flags, t.earlier) for t in bpf.read_transits()] == [
        (Direction.REQUEST, TransitFlag(0), 15),
        (Direction.RESPONSE, TransitFlag(0), 15),
    ]
    bpf.sweep()
    earlier = [(t.direction, t.earlier) for t in bpf.read_transits()]
    sent = [min(number, 15) for number in range(19)]
    assert sorted(earlier) == sorted((direction, number) for direction in Direction for number in sent)


def test_packet_that_was_lost_and_is_sent_again_without_timestamps(bpf: Harness, port: int) -> None:
    """The second cannot be told from the first, so it stamps nothing: its way would begin before it was sent."""
    frame = request(traced_request(), client_port=port, options=b"")
    for program in ("pod_egress", "veth_ingress"):  # and is lost behind that
        bpf.watch(program, frame)
    for program in ("pod_egress", "veth_ingress", "overlay_egress", "pod_ingress"):
        bpf.watch(program, frame)
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [Point.POD_EGRESS, Point.VETH_INGRESS]
    assert transit.flags == TransitFlag.PARTIAL
    assert bpf.counts() == {"transits_started": 1, "transits_swept": 1, "repeated": 1}


def test_packet_that_meets_a_point_twice(bpf: Harness, port: int) -> None:
    """The stamp of a point is the first packet's."""
    frame = request(traced_request(), client_port=port)
    for program in ("pod_egress", "veth_ingress", "veth_ingress", "pod_ingress"):
        bpf.watch(program, frame)
    (transit,) = bpf.read_transits()
    assert [s.point for s in transit.stamps] == [1, 2, 8]
    assert bpf.counts() == {"transits_started": 1, "transits_emitted": 1}


def test_pipelined_request_is_counted(bpf: Harness, port: int) -> None:
    """A second request before the first was answered is counted, since its response could not be told."""
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.watch("pod_egress", request(traced_request(), client_port=port, seq=SEQ + 15))
    assert bpf.counts() == {"transits_started": 1, "request_pipelined": 1}


def test_keep_alive(bpf: Harness, port: int) -> None:
    """The next request of a connection, and its response, are an exchange of their own."""
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.watch("nic_ingress", vxlan(response(client_port=port)))
    other = TRACEPARENT.replace(PARENT_ID, "00f067aa0ba902b7")
    bpf.watch("pod_egress", request(traced_request(other), client_port=port, seq=300, ack=ACK + 40))
    bpf.watch("nic_ingress", vxlan(response(client_port=port, seq=ACK + 40)))
    bpf.watch("pod_ingress", response(client_port=port, seq=ACK + 40))
    assert bpf.counts() == {"transits_started": 4, "transits_emitted": 1}
    (transit,) = bpf.read_transits()
    assert transit.context.parent_id.hex() == "00f067aa0ba902b7"


def test_one_client_port_to_two_servers(bpf: Harness, port: int) -> None:
    """A client port may serve two connections at once, and each response finds its own request."""
    other = TRACEPARENT.replace(PARENT_ID, "00f067aa0ba902b7")
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.watch("pod_egress", request(traced_request(other), client_port=port, seq=5, ack=99, server="10.96.0.21"))
    for seq in (99, ACK):
        bpf.watch("nic_ingress", vxlan(response(client_port=port, seq=seq)))
        bpf.watch("pod_ingress", response(client_port=port, seq=seq))
    assert bpf.read_parents() == ["00f067aa0ba902b7", PARENT_ID]


def test_interim_response_is_not_the_response(bpf: Harness, port: int) -> None:
    """100 Continue starts no transit, and the final response behind it is found."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.watch("nic_ingress", vxlan(response(interim, client_port=port)))
    bpf.watch("nic_ingress", vxlan(response(client_port=port, seq=ACK + len(interim))))
    assert bpf.counts() == {"transits_started": 2, "response_interim": 1}


def test_interim_response_that_is_sent_again(bpf: Harness, port: int) -> None:
    """The exchange waits on once, however often it is told to, and the final response is found."""
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    for number in range(100):
        seq, ack = 100_000 * number, 5_000 * number
        bpf.watch("pod_egress", request(traced_request(), client_port=port, seq=seq, ack=ack))
        for options in (TIMESTAMPS, LATER_TIMESTAMPS, TIMESTAMPS):
            bpf.watch("nic_ingress", vxlan(response(hints, client_port=port, seq=ack, options=options)))
        bpf.watch("nic_ingress", vxlan(response(client_port=port, seq=ack + len(hints))))
    assert bpf.counts() == {"transits_started": 200, "response_interim": 300}


def test_request_after_one_that_was_never_answered(bpf: Harness, port: int) -> None:
    """A connection that went on without the response being seen is measured from its next request on."""
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.watch("pod_egress", request(traced_request(), client_port=port, seq=300, ack=ACK + 40))
    bpf.watch("nic_ingress", vxlan(response(client_port=port, seq=ACK + 40)))
    assert bpf.counts() == {"transits_started": 3}


def test_answer_that_is_sent_again_while_the_next_request_is_under_way(bpf: Harness, port: int) -> None:
    """A request that acknowledges nothing of an answer before it does not take over its exchange."""
    other = TRACEPARENT.replace(PARENT_ID, "00f067aa0ba902b7")
    bpf.watch("nic_ingress", vxlan(request(traced_request(), client_port=port)))
    bpf.watch("pod_egress", response(client_port=port))
    bpf.watch("nic_ingress", vxlan(request(traced_request(other), client_port=port, seq=SEQ + 15)))
    bpf.watch("pod_egress", response(client_port=port, options=LATER_TIMESTAMPS))
    bpf.watch("nic_egress", vxlan(response(client_port=port, options=LATER_TIMESTAMPS)))
    (transit,) = bpf.read_transits()
    assert transit.context.parent_id.hex() == PARENT_ID
    assert bpf.counts() == {"transits_started": 3, "transits_emitted": 1, "request_pipelined": 1}


def test_switching_protocols_is_the_response(bpf: Harness, port: int) -> None:
    """101 is the last that is said in HTTP, so it is measured, and nothing behind it is a response."""
    switching = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"
    bpf.watch("pod_egress", request(traced_request(), client_port=port))
    bpf.watch("nic_ingress", vxlan(response(switching, client_port=port)))
    bpf.watch("nic_ingress", vxlan(response(client_port=port, seq=ACK + len(switching))))
    assert bpf.counts() == {"transits_started": 2, "response_no_exchange": 1}
