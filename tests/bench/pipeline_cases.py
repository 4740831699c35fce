"""What the span pipeline is measured with: the cases of the plugin, those of its peer, and which are compared.

Pure: a table, and the configurations that follow from it. The peer is the OpenTelemetry Collector.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"


class Protocol(enum.StrEnum):
    """How spans come in, and how they go out."""

    OTLP_GRPC = "otlp_grpc"
    OTLP_HTTP = "otlp_http"
    ZIPKIN = "zipkin"


@dataclass(frozen=True)
class Case:
    """A program with one way in and one way out."""

    key: str
    """Where its figures stand in the report."""
    receiver: Protocol
    exporter: Protocol


@dataclass(frozen=True)
class PluginCase(Case):
    """The plugin with transits of one span in a hundred, one exchange each."""

    mode: str = "inline"
    acknowledge: str = "delivered"
    """Empty in mode `tap`, where it has no meaning."""


@dataclass(frozen=True)
class CollectorCase(Case):
    """The Collector; transits are not its business, so it gets none."""

    processors: tuple[str, ...] = ("batch",)


_GRPC, _HTTP, _ZIPKIN = Protocol

PLUGIN_CASES = (
    PluginCase("otlp_grpc.accepted", _GRPC, _GRPC, acknowledge="accepted"),
    PluginCase("otlp_grpc.delivered", _GRPC, _GRPC),
    PluginCase("otlp_http", _HTTP, _HTTP, acknowledge="accepted"),
    PluginCase("otlp_http.delivered", _HTTP, _HTTP),
    PluginCase("zipkin", _ZIPKIN, _ZIPKIN, acknowledge="accepted"),
    PluginCase("zipkin.delivered", _ZIPKIN, _ZIPKIN),
    PluginCase("tap", _GRPC, _GRPC, mode="tap", acknowledge=""),
)
"""`accepted` is what the Collector does: it answers before its own export."""

COLLECTOR_CASES = (
    CollectorCase("collector.otlp_grpc", _GRPC, _GRPC),
    CollectorCase("collector.groupbytrace", _GRPC, _GRPC, processors=("groupbytrace", "batch")),
    CollectorCase("collector.otlp_http", _HTTP, _HTTP),
    CollectorCase("collector.zipkin", _ZIPKIN, _ZIPKIN),
)

CASES: dict[str, Case] = {case.key: case for case in (*PLUGIN_CASES, *COLLECTOR_CASES)}

ORDER = (
    "otlp_grpc.accepted", "collector.otlp_grpc", "otlp_grpc.delivered", "collector.groupbytrace", "tap",
    "collector.otlp_http", "otlp_http", "otlp_http.delivered",
    "collector.zipkin", "zipkin", "zipkin.delivered",
)  # fmt: skip
"""Of one round: what is compared lies close together, so that a bystander's share of the machine falls on both."""

RATIOS: dict[str, tuple[str, str]] = {
    "otlp_grpc.accepted.ratio_to_collector": ("otlp_grpc.accepted", "collector.otlp_grpc"),
    "otlp_grpc.delivered.ratio_to_collector": ("otlp_grpc.delivered", "collector.otlp_grpc"),
    "otlp_grpc.ratio_to_groupbytrace": ("otlp_grpc.accepted", "collector.groupbytrace"),
    "otlp_http.ratio_to_collector": ("otlp_http", "collector.otlp_http"),
    "otlp_http.delivered.ratio_to_collector": ("otlp_http.delivered", "collector.otlp_http"),
    "zipkin.ratio_to_collector": ("zipkin", "collector.zipkin"),
    "zipkin.delivered.ratio_to_collector": ("zipkin.delivered", "collector.zipkin"),
    "tap.ratio_to_collector": ("tap", "collector.otlp_grpc"),
}
"""Key of the figure: what is divided by what, in spans per CPU-second."""

LATENCY_CASE = "otlp_grpc.delivered"
"""The default: the answer comes after the delivery, so that the time of a call holds the whole way."""

Ports = Mapping[Protocol, int]


def configure(case: Case, own: Ports, sinks: Ports, metrics_port: int) -> dict[str, Any]:
    """Return the configuration of the case's program: its `own` ports to listen on, and those of the sinks."""
    if isinstance(case, PluginCase):
        return _configure_plugin(case, own, sinks)
    assert isinstance(case, CollectorCase)
    return _configure_collector(case, own, sinks, metrics_port)


def _configure_plugin(case: PluginCase, own: Ports, sinks: Ports) -> dict[str, Any]:
    # Transits come over OTLP/gRPC, however spans come.
    protocols = {"grpc": _listen(own[Protocol.OTLP_GRPC])}
    if case.receiver is Protocol.OTLP_HTTP:
        protocols["http"] = _listen(own[Protocol.OTLP_HTTP])
    receivers: dict[str, Any] = {"otlp": {"protocols": protocols}}
    if case.receiver is Protocol.ZIPKIN:
        receivers["zipkin"] = _listen(own[Protocol.ZIPKIN])
    names = {Protocol.OTLP_GRPC: "otlp", Protocol.OTLP_HTTP: "otlp_http", Protocol.ZIPKIN: "zipkin"}
    return {
        "mode": case.mode,
        **({"acknowledge": case.acknowledge} if case.acknowledge else {}),
        "receivers": receivers,
        "exporters": {names[case.exporter]: _export(case.exporter, sinks) | {"compression": "none"}},
        "telemetry": {"metrics": {"endpoint": f"{HOST}:0"}},
    }


def _configure_collector(case: CollectorCase, own: Ports, sinks: Ports, metrics_port: int) -> dict[str, Any]:
    receivers: dict[str, Any] = {
        Protocol.OTLP_GRPC: {"otlp": {"protocols": {"grpc": _listen(own[Protocol.OTLP_GRPC])}}},
        Protocol.OTLP_HTTP: {"otlp": {"protocols": {"http": _listen(own[Protocol.OTLP_HTTP])}}},
        Protocol.ZIPKIN: {"zipkin": _listen(own[Protocol.ZIPKIN])},
    }[case.receiver]
    # The Zipkin exporter has no key `compression` worth setting: it sends plain text.
    plain = {} if case.exporter is Protocol.ZIPKIN else {"compression": "none"}
    metrics = {"pull": {"exporter": {"prometheus": {"host": HOST, "port": metrics_port}}}}
    return {
        "receivers": receivers,
        "processors": {name: {} for name in case.processors},
        "exporters": {str(case.exporter): _export(case.exporter, sinks) | plain},
        "service": {
            "telemetry": {"metrics": {"readers": [metrics]}},
            "pipelines": {
                "traces": {
                    "receivers": list(receivers),
                    "processors": list(case.processors),
                    "exporters": [str(case.exporter)],
                }
            },
        },
    }


def _listen(port: int) -> dict[str, Any]:
    return {"endpoint": f"{HOST}:{port}"}


def _export(protocol: Protocol, sinks: Ports) -> dict[str, Any]:
    address = f"{HOST}:{sinks[protocol]}"
    if protocol is Protocol.OTLP_GRPC:
        return {"endpoint": address, "tls": {"insecure": True}}
    return {"endpoint": f"http://{address}{'/api/v2/spans' if protocol is Protocol.ZIPKIN else ''}"}
