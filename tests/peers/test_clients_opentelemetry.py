"""OpenTelemetry for Go, Java and JavaScript sends to the plugin by each of its protocols, and spans arrive whole."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from tests.peers.clients import send_trace
from tests.peers.plugin_process import running_plugin
from tests.peers.zipkin_server import Zipkin, ZipkinSpan
from tests.testbed.otlp_peer import OtlpPeer

pytestmark = pytest.mark.peers

NAMES = ["GET /checkout", "GET cart", "add up", "send order"]
RECEIVERS = {"otlp-grpc": "otlp_grpc", "otlp-proto": "otlp_http", "otlp-json": "otlp_http"}


@pytest.fixture(scope="module")
def backend() -> Iterator[OtlpPeer]:
    """Keep what comes out of the plugin."""
    with OtlpPeer() as backend:
        yield backend


@pytest.fixture(scope="module")
def plugin(backend: OtlpPeer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return where a plugin listens that sends to the backend."""
    exporters = {"otlp": {"endpoint": backend.endpoint, "tls": {"insecure": True}}}
    with running_plugin(tmp_path_factory.mktemp("plugin"), exporters) as listening:
        yield listening


@pytest.fixture(scope="module")
def zipkin_plugin(zipkin: Zipkin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return where a plugin listens that sends to Zipkin."""
    with running_plugin(tmp_path_factory.mktemp("plugin"), {"zipkin": {"endpoint": zipkin.spans_url}}) as listening:
        yield listening


@pytest.mark.parametrize(
    ("language", "protocol"),
    [
        ("go", "otlp-grpc"),
        ("go", "otlp-proto"),
        ("java", "otlp-grpc"),
        ("java", "otlp-proto"),
        ("js", "otlp-grpc"),
        ("js", "otlp-proto"),
        ("js", "otlp-json"),
    ],
)
def test_otlp(plugin: dict[str, str], backend: OtlpPeer, language: str, protocol: str) -> None:
    """What the client's library says it has sent is what comes out, down to types of attributes and nanoseconds."""
    sent = sorted(map(read_sent, send_trace(language, protocol, plugin[RECEIVERS[protocol]])), key=by_name)
    assert [span["name"] for span in sent] == NAMES
    trace_id = sent[0]["trace_id"]
    backend.wait_for(lambda spans: sum(one.span.trace_id.hex() == trace_id for one in spans) >= len(NAMES))
    received = [span for group in backend.groups for span in read_group(group) if span["trace_id"] == trace_id]
    assert sorted(received, key=by_name) == sent


@pytest.mark.parametrize("language", ["go", "java", "js"])
def test_zipkin(zipkin_plugin: dict[str, str], zipkin: Zipkin, language: str) -> None:
    """By each library's exporter for Zipkin, spans are there with ids, times, service, kinds, tags and events."""
    sent = sorted(map(read_sent, send_trace(language, "zipkin", zipkin_plugin["zipkin"])), key=by_name)
    received = zipkin.wait_for_trace(sent[0]["trace_id"], lambda spans: len(spans) >= len(NAMES))
    received.sort(key=lambda span: next(number for number, one in enumerate(sent) if one["span_id"] == span["id"]))
    assert len(received) == len(sent)
    for span, expected in zip(received, sent, strict=True):
        check_zipkin_span(span, expected)


def check_zipkin_span(span: ZipkinSpan, sent: dict[str, Any]) -> None:
    """Check a span in Zipkin against what was sent; it has no links, and Zipkin itself makes names small."""
    kind = None if sent["kind"] == "INTERNAL" else sent["kind"]
    fields = ("name", "parentId", "kind", "localEndpoint")
    assert [span.get(field) for field in fields] == [
        sent["name"].lower(),
        sent["parent_id"] or None,
        kind,
        span["localEndpoint"] | {"serviceName": sent["service"]},
    ]
    # Some cut the nanoseconds off and some round.
    assert abs(span["timestamp"] * 1000 - sent["start_ns"]) < 1000
    assert abs(span["duration"] * 1000 - (sent["end_ns"] - sent["start_ns"])) <= 2000
    tags = span["tags"]
    for key, value in sent["attributes"].items():
        assert key in tags
        if not isinstance(value, list):
            assert tags[key] == (value if isinstance(value, str) else json.dumps(value))
    assert [one["timestamp"] for one in span.get("annotations", [])] == pytest.approx(
        [event["time_ns"] // 1000 for event in sent["events"]], abs=1, rel=0
    )
    for annotation, event in zip(span.get("annotations", []), sent["events"], strict=True):
        assert event["name"] in annotation["value"]
    if sent["status"] == "ERROR":
        assert (tags["otel.status_code"], tags["error"]) == ("ERROR", sent["message"])
    else:
        assert "error" not in tags


def read_sent(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span as a client wrote it, with the languages' ways of writing made one."""
    times = {key: int(span[key]) for key in ("start_ns", "end_ns")}
    names = {key: span[key].upper() for key in ("kind", "status")}
    events = [event | {"time_ns": int(event["time_ns"])} for event in span["events"]]
    return span | times | names | {"events": events}


def read_group(group: bytes) -> Iterator[dict[str, Any]]:
    """Yield the spans of a ResourceSpans that came, in the same form."""
    message = ResourceSpans.FromString(group)
    service = read_attributes(message.resource.attributes)["service.name"]
    for scope in message.scope_spans:
        names = {"scope": scope.scope.name, "scope_version": scope.scope.version, "service": service}
        for span in scope.spans:
            yield read_received(span) | names


def read_received(span: Span) -> dict[str, Any]:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": read_attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "time_ns": event.time_unix_nano,
                "attributes": read_attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": read_attributes(link.attributes),
            }
            for link in span.links
        ],
        "status": Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        "message": span.status.message,
    }


def read_attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: read_value(pair.value) for pair in pairs}


def read_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [read_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def by_name(span: dict[str, Any]) -> str:
    return str(span["name"])
