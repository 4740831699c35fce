"""The mesh answers, and its spans and packets tell the same story."""

import json
import os
import re
import socket
from collections.abc import Callable, Sequence

import pytest

from testbed.client import send_requests
from testbed.mesh import Mesh
from testbed.namespace import open_socket
from testbed.recorder import RecordedSpan, Recorder
from testbed.topology import CART, FRONTEND, NODE_1, PODS

pytestmark = pytest.mark.testbed

ETH_P_ALL = 3
TIMEOUT_S = 60.0
SPANS_PER_TRACE = 15  # five of each of the three requests: SERVER, CLIENT, SERVER; frontend's calls are two more each
REQUESTS = 23
DELAY_MS = 50
CONTEXT = re.compile(rb"\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\r\n")

Context = tuple[str, str, str]


def new_context(flags: str) -> Context:
    """Return a context that no earlier request had."""
    return os.urandom(16).hex(), os.urandom(8).hex(), flags


def send_with(context: Context, count: int = 1) -> None:
    """Send requests with a context; all must be answered with 200."""
    answers = send_requests(count, headers={"traceparent": f"00-{'-'.join(context)}"})
    assert [answer.status for answer in answers] == [200] * count


def is_whole(trace_id: str, count: int = 1) -> Callable[[Sequence[RecordedSpan]], bool]:
    """Return what tells whether all spans of a trace have come."""
    return lambda spans: sum(span.trace_id.hex() == trace_id for span in spans) >= SPANS_PER_TRACE * count


def read_contexts(packets: socket.socket, trace_id: str, count: int) -> list[Context]:
    """Return the first contexts of a trace from the captured packets."""
    contexts: list[Context] = []
    while len(contexts) < count:
        found = CONTEXT.search(packets.recv(1 << 16))
        if found and found[1].decode() == trace_id:
            contexts.append((found[1].decode(), found[2].decode(), found[3].decode()))
    return contexts


def open_capture(namespace: str, device: str) -> socket.socket:
    """Return a packet socket on a device."""
    packets = open_socket(namespace, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.bind((device, ETH_P_ALL))
    packets.settimeout(TIMEOUT_S)
    return packets


@pytest.mark.usefixtures("two_nodes_vxlan_http")
def test_checkout_answers_with_both_services() -> None:
    """Frontend's answer holds those of cart and catalog, for every request of a kept connection."""
    answers = send_requests(REQUESTS)
    assert [answer.status for answer in answers] == [200] * REQUESTS
    assert {tuple(json.loads(answer.body)) for answer in answers} == {("cart", "catalog")}


@pytest.mark.usefixtures("two_nodes_vxlan_http")
def test_spans_form_one_tree(recorder: Recorder) -> None:
    """A request's spans hang together under the context it came with, services call in order, hosts are the nodes."""
    context = new_context("01")
    send_with(context)
    spans = recorder.wait_for(is_whole(context[0]))
    trace = [span for span in spans if span.trace_id.hex() == context[0]]
    known = {span.span_id for span in trace} | {bytes.fromhex(context[1])}
    assert len(trace) == SPANS_PER_TRACE
    assert {span.parent_id for span in trace} <= known
    assert {(span.service, span.resource["host.name"], span.resource["k8s.pod.name"]) for span in trace} == {
        (pod.service, pod.node.name, pod.name) for pod in PODS
    }
    assert {span.resource["service.namespace"] for span in trace} == {"shop"}


@pytest.mark.usefixtures("two_nodes_vxlan_http")
def test_packets_carry_the_ids_of_client_spans(recorder: Recorder) -> None:
    """Between the nodes each packet's parent id is that of the CLIENT span that frontend's sidecar exports."""
    context = new_context("01")
    with open_capture(CART.node.namespace, CART.host_veth) as packets:
        send_with(context, REQUESTS)
        contexts = read_contexts(packets, context[0], REQUESTS)
    spans = recorder.wait_for(is_whole(context[0], REQUESTS))
    clients = {
        span.span_id.hex(): span for span in spans if span.kind == "CLIENT" and span.trace_id.hex() == context[0]
    }
    parents = [clients[parent_id] for _, parent_id, _ in contexts]
    assert {(span.service, span.scope, span.name) for span in parents} == {
        ("frontend", "envoy", "router cart egress")
    }
    assert len({span.span_id for span in parents}) == REQUESTS


@pytest.mark.usefixtures("two_nodes_vxlan_http")
def test_unsampled_stays_unsampled(recorder: Recorder) -> None:
    """A request with flags 00 goes on with flags 00 and new ids, and none of its spans is exported."""
    unsampled, sampled = new_context("00"), new_context("01")
    with open_capture(NODE_1.namespace, FRONTEND.host_veth) as packets:
        send_with(unsampled)
        contexts = read_contexts(packets, unsampled[0], 3)
    send_with(sampled)  # spans leave in order, so behind these the others would have come
    spans = recorder.wait_for(is_whole(sampled[0]))
    assert {flags for _, _, flags in contexts} == {"00"}
    assert len({parent_id for _, parent_id, _ in contexts}) == 3
    assert unsampled[0] not in {span.trace_id.hex() for span in spans}


@pytest.mark.usefixtures("two_nodes_vxlan_http")
@pytest.mark.parametrize(("who", "slow_kind"), [("cart", "SERVER"), ("client", "CLIENT")])
def test_baggage_names_who_is_slow(recorder: Recorder, who: str, slow_kind: str) -> None:
    """A request's baggage makes the named service's answer, or the asking, last longer, and nothing below that."""
    context = new_context("01")
    headers = {"traceparent": f"00-{'-'.join(context)}", "baggage": f"delay_ms.{who}={DELAY_MS}"}
    send_requests(1, headers=headers)
    spans = recorder.wait_for(is_whole(context[0]))
    trace = [span for span in spans if span.trace_id.hex() == context[0] and span.scope == "shop"]
    times = {
        span.kind: span.end_ns - span.start_ns for span in trace if "cart" in span.name and span.kind != "INTERNAL"
    }
    alone_ns = times["SERVER"] if slow_kind == "SERVER" else times["CLIENT"] - times["SERVER"]
    assert alone_ns >= DELAY_MS * 10**6


def test_connections_between_sidecars_persist(two_nodes_vxlan_http: Mesh) -> None:
    """Requests one after the other share one connection between the sidecars."""
    send_requests(1)
    with open_capture(CART.node.namespace, CART.host_veth) as packets:
        send_requests(REQUESTS)
        ports: set[bytes] = set()
        requests = 0
        while requests < REQUESTS:
            frame = packets.recv(1 << 16)
            if b"GET /cart HTTP/1.1" in frame:
                requests += 1
                ports.add(frame[34:36])
    assert len(ports) == 1
    assert all(process.is_alive() for process in two_nodes_vxlan_http.processes)
