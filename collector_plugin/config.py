"""The collector plugin's configuration, as frozen Structs that `hopspan.config` reads YAML into.

Pure. The strings under the fields are their documentation: meaning, unit, default and why. What the design names and
this version does not have is known, so that whoever asks for it is told.
"""

import enum
from collections.abc import Iterator
from typing import Annotated

import msgspec

from collector_plugin.flow_settings import FlowSettings
from collector_plugin.http_settings import MAX_REQUEST_MIB, Guarded, OtlpHttpProtocol, ZipkinReceiver
from collector_plugin.kubernetes_settings import KubernetesSettings
from collector_plugin.network_span import Detail
from collector_plugin.own_endpoints import leads_to, share_port
from hopspan.http_export_settings import OtlpHttpExporterSettings, ZipkinExporterSettings
from hopspan.settings import Metrics, OtlpExporter, Telemetry
from hopspan.values import (
    Duration,
    Endpoint,
    Listener,
    Named,
    Reader,
    describe_duration,
    read_duration_to,
    write_duration,
)

MAX_WINDOW_NS = 600 * 10**9
"""Ten minutes. What waits longer is rare, and everything would be remembered as long."""

Window = Annotated[
    int, Reader(read_duration_to(MAX_WINDOW_NS), describe_duration("more than 0s, at most 10m"), write_duration)
]


class Mode(enum.StrEnum):
    """How the plugin sits beside the Collector."""

    INLINE = "inline"
    TAP = "tap"


class Acknowledge(enum.StrEnum):
    """What an answer of success means to the client."""

    DELIVERED = "delivered"
    ACCEPTED = "accepted"


class Spans(msgspec.Struct, frozen=True, kw_only=True):
    """How many network spans are made."""

    detail: Detail = Detail.HOPS
    """`hops`: a span for each hop. `summary`: one for each direction, its hops as events. `slow`: as `hops`, but of
    those exchanges alone whose network part exceeds `slow_threshold`. Default hops."""
    min_duration: Duration = 0
    """Spans shorter than this are not made. Default 0s: all are shown."""
    slow_threshold: Duration = 10**6
    """What all hops of an exchange take together, both directions, must exceed this with `detail: slow`. Default 1ms:
    above what an idle overlay within a site takes."""
    max_per_trace: Annotated[int, msgspec.Meta(ge=1, le=1_000_000, extra_json_schema={"x-unit": "spans"})] = 1_000
    """Network spans in one trace. Default 1000: seventy exchanges, and still a page that a browser can draw."""


class GrpcProtocol(Guarded, frozen=True, kw_only=True):
    """OTLP over gRPC."""

    endpoint: Listener = Endpoint("localhost", 24317)
    """`host:port` to listen on. Default localhost:24317: the Collector's ports stay free beside it."""
    max_recv_msg_size_mib: Annotated[
        int, msgspec.Meta(ge=1, le=MAX_REQUEST_MIB, extra_json_schema={"x-unit": "MiB"})
    ] = 16
    """Largest request in MiB, unpacked. Default 16: four times the Collector's, so that what passes one passes the
    other. What all requests may hold together is 64 MiB."""


class OtlpProtocols(msgspec.Struct, frozen=True, kw_only=True):
    """The transports that OTLP is received by."""

    grpc: GrpcProtocol = GrpcProtocol()
    """OTLP over gRPC, for spans and transits alike."""
    http: OtlpHttpProtocol | None = None
    """OTLP over HTTP, protobuf and JSON. Default: not received; `http: {}` turns it on."""


class OtlpReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """Receives OTLP."""

    protocols: OtlpProtocols = OtlpProtocols()
    """The transports."""


class Receivers(msgspec.Struct, frozen=True, kw_only=True):
    """Where spans and transits come in."""

    otlp: OtlpReceiver = OtlpReceiver()
    """OTLP. Default: gRPC on localhost:24317."""
    zipkin: ZipkinReceiver | None = None
    """Zipkin v2, JSON and protobuf. Default: not received; `zipkin: {}` turns it on."""


class FileExporter(msgspec.Struct, frozen=True, kw_only=True):
    """Appends requests to a file as OTLP JSON, one a line."""

    path: Annotated[str, msgspec.Meta(min_length=1)]
    """The file; it is made where it does not exist, and never truncated. Required."""


class PluginMetrics(Metrics, frozen=True, kw_only=True):
    """Where the plugin's own metrics are served."""

    endpoint: Listener = Endpoint("localhost", 29465)
    """`host:port` of the OpenMetrics page, `/metrics`. Default localhost:29465: whoever is let in learns the load."""


class OwnTraces(OtlpExporter, frozen=True, kw_only=True):
    """Where the plugin's own spans go, over OTLP/gRPC."""

    sampling_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    """Part of the requests that are traced, 0 to 1. Default 0.01: enough of thousands to see what is slow."""


class PluginTelemetry(Telemetry, frozen=True, kw_only=True):
    """What the plugin tells of itself."""

    metrics: PluginMetrics = PluginMetrics()
    """Its metrics."""
    traces: OwnTraces | None = None
    """Its own spans. Default: none are made; needs the packages of `hopspan[traces]`."""


class PluginConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration."""

    exporters: Annotated[
        dict[str, OtlpExporter | OtlpHttpExporterSettings | ZipkinExporterSettings | FileExporter],
        Named(
            {
                "otlp": OtlpExporter,
                "otlp_http": OtlpHttpExporterSettings,
                "zipkin": ZipkinExporterSettings,
                "file": FileExporter,
            }
        ),
    ]
    """Where spans go, by `type` or `type/name`. The first acknowledges, the others have bounded queues of their own.
    Required: at least one."""
    mode: Mode = Mode.INLINE
    """`inline`: spans in, the same spans and network spans out. `tap`: the spans are a copy that the Collector sends
    beside its own pipeline, and network spans alone come out. Default inline."""
    acknowledge: Acknowledge = Acknowledge.DELIVERED
    """`delivered`: a client hears of success once the first exporter's peer has the spans. `accepted`: once they wait
    in a bounded queue, as in the Collector, and are lost if the process dies. Default delivered."""
    window: Window = 60 * 10**9
    """How long a transit waits for its parent. Default 60s, at most 10m: SDKs flush every five seconds, and a request
    is waited for until its span has ended."""
    settle: Duration = 2 * 10**9
    """How long the two halves of a message wait for each other once the parent is there. Default 2s: ten times what
    a healthy probe takes. At most `window`."""
    spans: Spans = Spans()
    """How many network spans are made."""
    receivers: Receivers = Receivers()
    """Where spans and transits come in."""
    flows: FlowSettings = FlowSettings()
    """What is claimed from agents for spans whose connection is encrypted."""
    kubernetes: KubernetesSettings = KubernetesSettings()
    """Names from Kubernetes on network spans."""
    telemetry: PluginTelemetry = PluginTelemetry()
    """What the plugin tells of itself."""

    def validate(self) -> Iterator[str]:
        """Yield faults: contradictions between keys, and what this version does not have."""
        if not self.exporters:
            yield "exporters: missing"
        if self.mode is Mode.TAP and self.acknowledge is not Acknowledge.DELIVERED:
            yield "acknowledge: has no effect while mode is tap"
        if self.settle > self.window:
            yield "settle: is longer than window"
        yield from self._find_loops()
        yield from self._find_shared_listeners()

    def _find_loops(self) -> Iterator[str]:
        """Yield exporters that would send the plugin's spans to the plugin: each would go round for ever."""
        for name, exporter in self.exporters.items():
            if isinstance(exporter, FileExporter):
                continue
            peer = exporter.endpoint if isinstance(exporter, OtlpExporter) else exporter.url.endpoint
            is_whole = isinstance(exporter, OtlpHttpExporterSettings) and exporter.traces_endpoint is not None
            key = "traces_endpoint" if is_whole else "endpoint"
            for own, listener in self._list_listeners().items():
                if leads_to(peer, listener):
                    yield f"exporters.{name}.{key}: is the plugin's own ({own}.endpoint)"

    def _find_shared_listeners(self) -> Iterator[str]:
        seen: list[tuple[str, Endpoint]] = []
        for key, endpoint in self._list_listeners().items():
            other = next((other for other, listener in seen if share_port(endpoint, listener)), None)
            if other is not None:
                yield f"{key}.endpoint: takes the port of {other}"
            seen.append((key, endpoint))

    def _list_listeners(self) -> dict[str, Endpoint]:
        listeners = {"receivers.otlp.protocols.grpc": self.receivers.otlp.protocols.grpc.endpoint}
        if self.receivers.otlp.protocols.http is not None:
            listeners["receivers.otlp.protocols.http"] = self.receivers.otlp.protocols.http.endpoint
        if self.receivers.zipkin is not None:
            listeners["receivers.zipkin"] = self.receivers.zipkin.endpoint
        return {**listeners, "telemetry.metrics": self.telemetry.metrics.endpoint}
