"""Go, Java and Node call and answer each other between the testbed's two nodes, with a real probe and plugin.

Each writes its headers in its own way and order; each call has all of its hops, under the span whose id it carried.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from testbed import network
from testbed.process import ManagedProcess, run_in
from testbed.requirements import missing_requirements
from testbed.topology import CART, CART_SERVICE, FRONTEND, MANAGEMENT_GATEWAY, PLUGIN_ENDPOINT, SIDECAR_INBOUND_PORT
from tests.peers.clients import TIMEOUT_S, find_client
from tests.peers.plugin_process import running_plugin
from tests.peers.zipkin_server import Zipkin, ZipkinSpan
from tests.requirements import lack
from tests.testbed.hop_rules import CART_HOPS, check_times, list_children, render_attributes
from tests.testbed.otlp_peer import OtlpPeer, Received, Value
from tests.testbed.programs_under_test import running_probes

pytestmark = pytest.mark.peers

ENDPOINTS = {
    "otlp_grpc": PLUGIN_ENDPOINT,
    "otlp_http": f"{MANAGEMENT_GATEWAY}:24318",
    "zipkin": f"{MANAGEMENT_GATEWAY}:29411",
}
RECEIVERS = {
    "otlp": {
        "protocols": {"grpc": {"endpoint": ENDPOINTS["otlp_grpc"]}, "http": {"endpoint": ENDPOINTS["otlp_http"]}}
    },
    "zipkin": {"endpoint": ENDPOINTS["zipkin"]},
}
CALLS = 3
SHORT_COOKIE, LONG_COOKIE = "session=1", "session=" + "x" * 3000
"""With the long one a context behind it is not in the message's first packet on the wire."""

URL = f"http://{CART_SERVICE.cluster_address}:{CART_SERVICE.port}/cart"


@dataclass(frozen=True)
class Party:
    """One side: a language, how its spans are sent, and how its context is."""

    language: str
    protocol: str
    propagator: str = "tracecontext"

    def render_command(self, what: str, where: str) -> list[str]:
        """Return the command that calls or serves."""
        way = {"otlp-grpc": "otlp_grpc", "otlp-proto": "otlp_http", "otlp-json": "otlp_http"}.get(
            self.protocol, "zipkin"
        )
        return [*find_client(self.language), what, self.protocol, ENDPOINTS[way], where, self.propagator]


def describe(value: object) -> str:
    """Return a short name for a parameter."""
    if isinstance(value, Party):
        return f"{value.language}-{value.protocol}-{value.propagator}"
    return {SHORT_COOKIE: "short", LONG_COOKIE: "long"}[str(value)]


@dataclass(frozen=True)
class Backends:
    """What the plugin sends to."""

    otlp: OtlpPeer
    zipkin: Zipkin


@pytest.fixture(scope="module")
def backends(zipkin: Zipkin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Hold two nodes with overlay, a probe on each, and a plugin that sends to two backends."""
    missing = missing_requirements()
    if missing:
        lack("; ".join(missing))
    work_dir = tmp_path_factory.mktemp("overlay")
    with network.two_nodes(), OtlpPeer() as otlp:
        network.add_overlay()
        exporters = {
            "otlp": {"endpoint": otlp.endpoint, "tls": {"insecure": True}},
            "zipkin": {"endpoint": zipkin.spans_url},
        }
        with running_plugin(work_dir, exporters, RECEIVERS), running_probes(work_dir, limited=False):
            yield Backends(otlp, zipkin)


@pytest.mark.parametrize(
    ("caller", "callee", "cookie"),
    [
        (Party("go", "otlp-grpc"), Party("java", "otlp-grpc"), LONG_COOKIE),
        (Party("java", "otlp-proto"), Party("js", "otlp-proto"), SHORT_COOKIE),
        (Party("js", "otlp-json"), Party("go", "otlp-proto"), SHORT_COOKIE),
        (Party("go", "otlp-proto", "b3multi"), Party("js", "otlp-grpc", "b3multi"), SHORT_COOKIE),
        (Party("java", "otlp-grpc", "b3"), Party("go", "otlp-grpc", "b3"), LONG_COOKIE),
        (Party("js", "otlp-grpc", "b3"), Party("java", "otlp-proto", "b3"), LONG_COOKIE),
    ],
    ids=describe,
)
def test_opentelemetry(backends: Backends, caller: Party, callee: Party, cookie: str, tmp_path: Path) -> None:
    """The hops of each request and response are all there, with the addresses and devices of their ways."""
    calling, serving = run_calls(caller, callee, cookie, tmp_path)
    assert (len(calling), len(serving)) == (CALLS, CALLS)
    # JavaScript's SDK begins spans at the millisecond before, so what lies behind their end is cut.
    ports = {check_call(backends, client, may_cut=caller.language == "js") for client in calling}
    assert len(ports) == 1  # one connection, with the requests behind each other


def check_call(backends: Backends, client: dict[str, Any], *, may_cut: bool) -> Value:
    """Check spans and hops of a call by its client's span, and return the client's port.

    With `may_cut` hops may be cut at the span's ends, and say so; else they lie inside it as they are.
    """

    def take(spans: list[Received]) -> list[Received]:
        return [span for span in spans if span.span.trace_id.hex() == client["trace_id"]]

    spans = take(backends.otlp.wait_for(lambda spans: len(take(spans)) >= 2 + len(CART_HOPS)))
    parents = {span.span.kind: span for span in spans if not span.is_network}
    parent, server = parents[Span.SPAN_KIND_CLIENT], parents[Span.SPAN_KIND_SERVER]
    assert server.span.parent_span_id == parent.span.span_id == bytes.fromhex(client["span_id"])
    hops = list_children(spans, parent)
    assert len(spans) == 2 + len(hops)
    if may_cut and any("hopspan.clipped" in hop.attributes for hop in hops):
        ways = [(hop.direction, hop.start) for hop in CART_HOPS]
        hops.sort(
            key=lambda hop: ways.index(
                (str(hop.attributes["hopspan.direction"]), str(hop.attributes["hopspan.from"]))
            )
        )
        assert all(parent.ends[0] <= hop.ends[0] < hop.ends[1] <= parent.ends[1] for hop in hops)
    else:
        check_times(hops, parent)
    assert [hop.span.name for hop in hops] == [hop.name for hop in CART_HOPS]
    port = hops[0].attributes["source.port"]
    left_out = {"hopspan.duration_ns", "hopspan.clipped"} if may_cut else {"hopspan.duration_ns"}
    for received, hop in zip(hops, CART_HOPS, strict=True):
        attributes = {key: value for key, value in received.attributes.items() if key not in left_out}
        assert attributes == render_attributes(hop, CART_SERVICE, port)
    return port


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        (Party("go", "zipkin-go-json"), Party("java", "brave-json", "b3multi")),
        (Party("java", "brave-proto", "b3"), Party("java", "brave-proto", "b3")),
        # In protobuf zipkin-go cuts off the nanoseconds that it rounds in what it says it has sent.
        (Party("java", "brave-json", "b3multi"), Party("go", "zipkin-go-json")),
    ],
    ids=describe,
)
def test_zipkin(backends: Backends, caller: Party, callee: Party, tmp_path: Path) -> None:
    """Trace ids have 64 bits and the server shares the client's span id: both are whole; the client has the hops."""
    calling, serving = run_calls(caller, callee, SHORT_COOKIE, tmp_path)
    clients = [span for span in calling if span.get("kind") == "CLIENT"]
    assert (len(clients), len(serving)) == (CALLS, CALLS)
    for client in clients:
        (server,) = (span for span in serving if span["id"] == client["id"])
        assert (server["traceId"], server["shared"], len(client["traceId"])) == (client["traceId"], True, 16)
        check_zipkin_call(backends.zipkin, client, calling + serving)


def check_zipkin_call(zipkin: Zipkin, client: ZipkinSpan, reported: list[ZipkinSpan]) -> None:
    """Check that Zipkin has of a call's trace what was reported, and the hops of its client's span."""
    sent = [span for span in reported if span["traceId"] == client["traceId"]]
    spans = zipkin.wait_for_trace(client["traceId"], lambda spans: len(spans) >= len(sent) + len(CART_HOPS))
    hops = [span for span in spans if span.get("tags", {}).get("otel.scope.name") == "hopspan"]
    hops.sort(key=lambda hop: hop["timestamp"])
    assert [hop["name"] for hop in hops] == [hop.name for hop in CART_HOPS]
    assert {(hop["parentId"], hop["localEndpoint"]["serviceName"]) for hop in hops} == {(client["id"], "frontend")}
    assert sorted((normalize(span) for span in spans if span not in hops), key=order) == sorted(
        (normalize(span) for span in sent), key=order
    )


def run_calls(
    caller: Party, callee: Party, cookie: str, work_dir: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Let the caller in its pod call the callee's service; return the spans that each says it has sent."""
    address = f"{CART.address}:{SIDECAR_INBOUND_PORT}"
    serving = run_in(
        CART.namespace,
        callee.render_command("serve", address),
        log_path=work_dir / "cart.log",
        environment={"SERVICE_NAME": CART.service},
    )
    with serving:
        serving.wait_for_output("^serving$", TIMEOUT_S)
        calling = run_in(
            FRONTEND.namespace,
            caller.render_command("call", URL),
            log_path=work_dir / "frontend.log",
            environment={"SERVICE_NAME": FRONTEND.service, "CALLS": str(CALLS), "COOKIE": cookie},
        )
        with calling:
            sent = read_sent(calling, calling.wait_or_kill(TIMEOUT_S))
        return sent, read_sent(serving, serving.stop(TIMEOUT_S))


def read_sent(process: ManagedProcess, code: int) -> list[dict[str, Any]]:
    assert code == 0, process.read_log_tail()
    spans: list[dict[str, Any]] = json.loads(process.read_log().splitlines()[-1])
    return spans


def normalize(span: ZipkinSpan) -> ZipkinSpan:
    """Return a span as the server keeps it: names are small there."""
    return span | {"name": span["name"].lower()}


def order(span: ZipkinSpan) -> tuple[str, str]:
    return span.get("kind", ""), span["name"]
