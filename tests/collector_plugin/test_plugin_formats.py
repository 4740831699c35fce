"""The whole plugin between clients and peers of every kind: what comes in one format goes out in the peer's."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector_plugin.config import PluginConfig
from collector_plugin.plugin import Plugin
from hopspan.config import parse_config
from hopspan.logs import Log
from hopspan.otlp_export import EXPORT_METHOD
from tests.collector_plugin.builders import (
    SPAN_ID,
    TRACE_ID,
    list_spans,
    make_request,
    make_resource_spans,
    make_span,
)
from tests.collector_plugin.gated_exporter import wait_until
from tests.collector_plugin.plugin_bench import FAR, NEAR, SPANS
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer
from tests.hopspan.http_peer import HttpPeer

RECEIVERS = """
receivers:
  otlp: {protocols: {grpc: {endpoint: 'localhost:0'}, http: {endpoint: 'localhost:0'}}}
  zipkin: {endpoint: 'localhost:0'}
telemetry: {metrics: {endpoint: 'localhost:0'}}
"""

HOPS = ["host-forward", "vxlan-encap", "underlay", "vxlan-decap", "host-forward"]

ZIPKIN_SPAN = {
    "traceId": TRACE_ID.hex(),
    "id": SPAN_ID.hex(),
    "kind": "CLIENT",
    "name": "get /",
    "timestamp": 1_700_000_000_000_000,
    "duration": 40_000,
    "localEndpoint": {"serviceName": "frontend"},
    "tags": {"something.of.ours": "é", "unknown": "kept"},
}


@contextmanager
def run_plugin(text: str) -> Iterator[Plugin]:
    """Hold a running plugin with all receivers."""
    plugin = Plugin(parse_config(text + RECEIVERS, PluginConfig), Log())
    plugin.start()
    try:
        yield plugin
    finally:
        plugin.stop()


def export_grpc(plugin: Plugin, data: bytes) -> bytes:
    """Send an OTLP request over gRPC; return the answer."""
    with grpc.insecure_channel(str(plugin.endpoints["otlp_grpc"])) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
        return call(data, timeout=DEADLINE_S)


def post(plugin: Plugin, receiver: str, path: str, data: bytes, content_type: str) -> int:
    """Post a body; return the status."""
    request = urllib.request.Request(
        f"http://{plugin.endpoints[receiver]}{path}", data, {"Content-Type": content_type}
    )
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:  # noqa: S310
        return int(answer.status)


def post_zipkin(plugin: Plugin, spans: list[dict[str, Any]]) -> bytes:
    """Post Zipkin spans; return the body."""
    body = json.dumps(spans, ensure_ascii=False, indent=1).encode()
    assert post(plugin, "zipkin", "/api/v2/spans", body, "application/json") == 202
    return body


def make_otlp_json() -> bytes:
    """Return the application's spans as OTLP/JSON."""
    span = {"traceId": TRACE_ID.hex(), "spanId": SPAN_ID.hex(), "name": "GET /", "kind": 3}
    times = {"startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000040000000"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span | times]}]}]}).encode()


def test_zipkin_in_zipkin_out_loses_nothing() -> None:
    """The body arrives byte for byte, unknown tags and white space included; the hops follow as Zipkin spans."""
    peer = HttpPeer()
    with run_plugin(f"exporters: {{zipkin: {{endpoint: '{peer.url('/api/v2/spans')}', tls: {{}}}}}}") as plugin:
        export_grpc(plugin, NEAR)
        body = post_zipkin(plugin, [ZIPKIN_SPAN])
        assert peer.take().body == body
        export_grpc(plugin, FAR)
        hops = json.loads(peer.take().body)
    assert [hop["name"] for hop in hops] == HOPS
    assert {hop["parentId"] for hop in hops} == {SPAN_ID.hex()}
    assert {hop["localEndpoint"]["serviceName"] for hop in hops} == {"frontend"}
    assert not any("kind" in hop or "remoteEndpoint" in hop for hop in hops)
    peer.close()


def test_zipkin_in_otlp_out() -> None:
    """Spans of Zipkin reach an OTLP peer as such, and get their hops under the same service."""
    peer = GrpcPeer()
    with run_plugin(f"exporters: {{otlp: {{endpoint: 'localhost:{peer.port}', tls: {{insecure: true}}}}}}") as plugin:
        post_zipkin(plugin, [ZIPKIN_SPAN])
        (span,) = list_spans([peer.take()])
        assert (span.trace_id, span.span_id, span.kind) == (TRACE_ID, SPAN_ID, 3)
        assert {item.key: item.value.string_value for item in span.attributes}["unknown"] == "kept"
        export_grpc(plugin, NEAR)
        export_grpc(plugin, FAR)
        message = ExportTraceServiceRequest.FromString(peer.take())
    (group,) = message.resource_spans
    assert [item.value.string_value for item in group.resource.attributes if item.key == "service.name"] == [
        "frontend"
    ]
    assert [span.name for span in group.scope_spans[0].spans] == HOPS
    peer.close()


def test_otlp_in_zipkin_out() -> None:
    """Spans of OTLP reach a Zipkin server as Zipkin spans; an OTLP peer beside it gets the bytes that came."""
    first, second = HttpPeer(), GrpcPeer()
    text = f"""
exporters:
  zipkin: {{endpoint: '{first.url("/api/v2/spans")}'}}
  otlp: {{endpoint: 'localhost:{second.port}', tls: {{insecure: true}}}}
"""
    with run_plugin(text) as plugin:
        export_grpc(plugin, SPANS)
        spans = json.loads(first.take().body)
        assert [(span["traceId"], span["kind"]) for span in spans] == [(TRACE_ID.hex(), "CLIENT")] * 2
        assert {span["localEndpoint"]["serviceName"] for span in spans} == {"frontend"}
        assert second.take() == SPANS
    first.close()
    second.close()


@pytest.mark.parametrize("content_type", ["application/x-protobuf", "application/json"])
def test_otlp_over_http_in_and_out(content_type: str) -> None:
    """Protobuf passes byte for byte; JSON arrives as protobuf."""
    peer = HttpPeer()
    data = SPANS if content_type.endswith("protobuf") else make_otlp_json()
    with run_plugin(f"exporters: {{otlp_http: {{endpoint: '{peer.url()}'}}}}") as plugin:
        assert post(plugin, "otlp_http", "/v1/traces", data, content_type) == 200
        request = peer.take()
    assert request.path == "/v1/traces"
    assert request.headers["content-type"] == "application/x-protobuf"
    if data is SPANS:
        assert request.body == SPANS
    assert list_spans([request.body])[0].span_id == SPAN_ID
    peer.close()


def test_tap_lets_network_spans_out_alone() -> None:
    """A copy of the spans comes in and goes nowhere; the hops leave as ever."""
    peer = GrpcPeer()
    text = f"mode: tap\nexporters: {{otlp: {{endpoint: 'localhost:{peer.port}', tls: {{insecure: true}}}}}}"
    with run_plugin(text) as plugin:
        for data in (SPANS, NEAR, FAR):
            assert export_grpc(plugin, data) == b""
        assert [span.name for span in list_spans([peer.take()])] == HOPS
        assert plugin.report.read_fields()["receiver_accepted_spans"] == 2
    assert peer.seen.qsize() == 1
    peer.close()


def test_accepted_answers_before_the_peer_does() -> None:
    """With the peer away the client is told of success, and the spans arrive once the peer is back."""
    peer = GrpcPeer()
    port = peer.port
    peer.close()
    text = f"acknowledge: accepted\nexporters: {{otlp: {{endpoint: 'localhost:{port}', tls: {{insecure: true}}}}}}"
    with run_plugin(text) as plugin:
        assert export_grpc(plugin, SPANS) == b""
        wait_until(lambda: plugin.report.read_fields().get("receiver_accepted_spans") == 2)
        peer = GrpcPeer(port)
        assert peer.take() == SPANS
    peer.close()


def test_spans_that_zipkin_cannot_hold_are_counted() -> None:
    """Ids of zeros are lawful nowhere, but passed on by OTLP; a Zipkin server would refuse the whole request."""
    peer = HttpPeer()
    spans = [make_span(), make_span(span_id=bytes(8))]
    with run_plugin(f"exporters: {{zipkin: {{endpoint: '{peer.url('/api/v2/spans')}'}}}}") as plugin:
        export_grpc(plugin, make_request(make_resource_spans(spans)))
        assert [span["id"] for span in json.loads(peer.take().body)] == [SPAN_ID.hex()]
        fields = plugin.report.read_fields()
    assert fields["exporter_send_failed_spans{zipkin,application,left_out}"] == 1
    assert fields["exporter_sent_spans{zipkin,application}"] == 1
    peer.close()
