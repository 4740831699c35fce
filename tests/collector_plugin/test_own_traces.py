"""The plugin's own traces: what is traced, what never is, what is lost and counted, and that off they are free."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector_plugin.config import OwnTraces, PluginConfig
from collector_plugin.own_traces import SCOPE
from collector_plugin.plugin import Plugin
from hopspan.errors import HopspanError
from hopspan.logs import Log
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.settings import TlsClient
from hopspan.values import Endpoint
from tests.collector_plugin.builders import make_request, make_resource_spans, make_span
from tests.collector_plugin.gated_exporter import wait_until
from tests.collector_plugin.plugin_bench import SPANS, make_config
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer, refuse

ROOT = Path(__file__).parents[2]


class Traced:
    """A plugin with its exporter's peer, and a peer that its own spans go to."""

    def __init__(self, sampling_ratio: float = 1) -> None:
        """Start all."""
        self.peer, self.own = GrpcPeer(), GrpcPeer()
        self.plugin = Plugin(make_traced(self.peer, self.own.port, sampling_ratio), Log())
        self.plugin.start()

    def send(self, data: bytes = SPANS) -> None:
        """Send a request as an application does."""
        with grpc.insecure_channel(str(self.plugin.endpoints["otlp_grpc"])) as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
            call(data, timeout=DEADLINE_S)

    def read_fields(self) -> dict[str, int]:
        """Return the plugin's counts."""
        return self.plugin.report.read_fields()

    def close(self) -> None:
        """Stop all."""
        self.plugin.stop()
        self.peer.close()
        self.own.close()


def make_traced(peer: GrpcPeer, port: int, sampling_ratio: float = 1) -> PluginConfig:
    """Return a configuration whose own spans go to the port."""
    config = make_config(peer)
    traces = OwnTraces(
        endpoint=Endpoint("localhost", port), tls=TlsClient(insecure=True), sampling_ratio=sampling_ratio
    )
    telemetry = msgspec.structs.replace(config.telemetry, traces=traces)
    return msgspec.structs.replace(config, telemetry=telemetry)


@pytest.fixture
def traced() -> Iterator[Traced]:
    """A plugin that traces every request."""
    traced = Traced()
    yield traced
    traced.close()


def take_spans(peer: GrpcPeer, count: int) -> dict[str, Span]:
    """Return the next own spans, by name."""
    spans: dict[str, Span] = {}
    while len(spans) < count:
        for resource_spans in ExportTraceServiceRequest.FromString(peer.take()).resource_spans:
            names = [
                one.value.string_value for one in resource_spans.resource.attributes if one.key == "service.name"
            ]
            assert names == ["collector-plugin"]
            for scope_spans in resource_spans.scope_spans:
                assert scope_spans.scope.name == SCOPE
                spans |= {span.name: span for span in scope_spans.spans}
    return spans


def test_request_is_traced_from_its_receiver_to_its_exporter(traced: Traced) -> None:
    """One trace: the export lies within what was received; the application's spans arrive as ever."""
    traced.send()
    assert traced.peer.take() == SPANS
    spans = take_spans(traced.own, 2)
    received, exported = spans["receiver/otlp/TraceDataReceived"], spans["exporter/otlp/traces"]
    assert exported.trace_id == received.trace_id
    assert exported.parent_span_id == received.span_id
    assert received.parent_span_id == b""
    assert received.start_time_unix_nano <= exported.start_time_unix_nano
    assert exported.end_time_unix_nano <= received.end_time_unix_nano
    assert {one.key: one.value.string_value for one in received.attributes if one.value.string_value} == {
        "receiver": "otlp",
        "transport": "grpc",
    }
    wait_until(lambda: traced.read_fields().get("exporter_sent_spans{telemetry.traces,own}") == 2)


def test_own_spans_that_come_back_are_passed_on_and_not_traced(traced: Traced) -> None:
    """They make no others: what was sent before and after them is all that was traced."""
    traced.send()
    own = traced.own.take()
    assert traced.peer.take() == SPANS
    traced.send(own)
    assert traced.peer.take() == own
    traced.send()
    wait_until(lambda: traced.read_fields().get("exporter_sent_spans{telemetry.traces,own}") == 4)
    traced.plugin.stop()
    assert traced.read_fields()["exporter_sent_spans{telemetry.traces,own}"] == 4


def test_failure_is_told_by_its_kind_alone(traced: Traced) -> None:
    """What the peer said may be anything, and stays out of the spans."""
    traced.peer.behave = refuse(grpc.StatusCode.PERMISSION_DENIED, "a secret")
    with pytest.raises(grpc.RpcError):
        traced.send()
    for span in take_spans(traced.own, 2).values():
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert "PERMISSION_DENIED" in str(span.attributes)
        assert "secret" not in str(span)


def test_own_spans_that_are_refused_are_counted(traced: Traced) -> None:
    """Nobody else is the worse for it."""
    traced.own.behave = refuse(grpc.StatusCode.INVALID_ARGUMENT)
    traced.send()
    assert traced.peer.take() == SPANS
    key = "exporter_send_failed_spans{telemetry.traces,own,refused}"
    wait_until(lambda: traced.read_fields().get(key) == 2)


def test_ratio_of_none_traces_nothing() -> None:
    """The way is there, and nothing goes it."""
    traced = Traced(sampling_ratio=0)
    traced.send(make_request(make_resource_spans([make_span()])))
    traced.close()
    assert traced.own.seen.empty()


def test_sdk_is_loaded_only_where_traces_are_on() -> None:
    """Off, it costs no memory, and need not be there."""
    code = "import sys, collector_plugin.plugin; print(any('opentelemetry.sdk' in name for name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start fails with the key, and says what to install."""
    monkeypatch.delitem(sys.modules, "collector_plugin.own_traces")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    peer = GrpcPeer()
    try:
        with pytest.raises(HopspanError, match=r"^telemetry.traces: needs the packages of hopspan\[traces\]"):
            Plugin(make_traced(peer, 1), Log())
    finally:
        peer.close()
