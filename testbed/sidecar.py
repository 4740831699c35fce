"""Configures a stock Envoy as a pod's sidecar: inbound to the application, outbound to the services, both traced.

Turns the topology into Envoy's bootstrap configuration; no IO.
"""

import json
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from testbed.mutual_tls import CUSTOM_TAGS, MutualTls, Value, render_access_log, render_filter_chains, render_upstream
from testbed.topology import (
    APPLICATION_PORT,
    SERVICES,
    SIDECAR_ADMIN_PORT,
    SIDECAR_INBOUND_PORT,
    SIDECAR_OUTBOUND_PORT,
    Pod,
)

LOOPBACK = IPv4Address("127.0.0.1")

FLUSH_INTERVAL_MS = 200
"""A demo's trace is to be there at once; Envoy's default is 5 s."""

_APPLICATION_CLUSTER = "application"
_PLUGIN_CLUSTER = "plugin"
_HTTP1, _HTTP2 = "http_protocol_options", "http2_protocol_options"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_DETECTOR = "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig"


def render_command(envoy: Path, config_path: Path) -> list[str]:
    """Return the command that runs the sidecar."""
    return [
        str(envoy),
        *("--config-path", str(config_path)),
        *("--concurrency", "1"),  # one worker, so one connection to each service is kept and used again
        "--disable-hot-restart",  # or all Envoys of a machine would share one region of memory
    ]


def render_config(  # noqa: PLR0913 - each is a choice of its own
    pod: Pod,
    plugin_endpoint: str,
    tls: MutualTls | None = None,
    *,
    http2: bool = False,
    queueing: bool = False,
    fresh: bool = False,
    answering: bool = False,
) -> str:
    """Return the bootstrap configuration of the pod's sidecar: JSON, which is YAML too.

    With `http2` sidecars speak HTTP/2 to each other, else HTTP/1.1; to applications they always speak that. With
    `queueing` the application has one connection, so that requests wait in the sidecar for each other. With `fresh`
    each request to a service has a connection of its own. With `answering` the sidecar answers by itself, at once,
    what it would hand to its application.
    With `tls` sidecars speak that to each other, and name the connections in their spans; to users they always speak
    plain text.
    """
    between = _HTTP2 if http2 else _HTTP1
    requests = 1 if fresh else 0
    application = _render_cluster(_APPLICATION_CLUSTER, _render_address(LOOPBACK, APPLICATION_PORT))
    if queueing:
        application |= {"circuit_breakers": {"thresholds": [{"max_connections": 1}]}}
    inbound = [_render_answer() if answering else _render_route("application", ["*"], _APPLICATION_CLUSTER)]
    outbound = [_render_route(service.name, [service.name], service.name) for service in SERVICES]
    config: Value = {
        "admin": {"address": _render_address(LOOPBACK, SIDECAR_ADMIN_PORT)},
        "layered_runtime": {
            "layers": [
                {
                    "name": "testbed",
                    "static_layer": {"tracing": {"opentelemetry": {"flush_interval_ms": FLUSH_INTERVAL_MS}}},
                }
            ]
        },
        "static_resources": {
            "listeners": [
                _render_listener(
                    "INBOUND",
                    _render_address(pod.address, SIDECAR_INBOUND_PORT),
                    _render_manager("INBOUND", inbound, pod, tls, http2=http2),
                    tls,
                ),
                _render_listener(
                    "OUTBOUND",
                    _render_address(LOOPBACK, SIDECAR_OUTBOUND_PORT),
                    _render_manager("OUTBOUND", outbound, pod, tls),
                ),
            ],
            "clusters": [
                application,
                *(
                    _render_cluster(
                        service.name, _render_address(service.cluster_address, service.port), between, requests
                    )
                    | ({"transport_socket": render_upstream(tls)} if tls is not None else {})
                    for service in SERVICES
                ),
                _render_plugin_cluster(plugin_endpoint),
            ],
        },
    }
    return json.dumps(config, indent=2)


def render_resource_attributes(pod: Pod) -> dict[str, str]:
    """Return what tells where the pod is, the same for its application and its sidecar.

    Jaeger corrects clocks between spans of different hosts, so both must name the same one.
    """
    return {
        "service.namespace": "shop",
        "host.name": pod.node.name,
        "k8s.node.name": pod.node.name,
        "k8s.pod.name": pod.name,
    }


def _render_manager(direction: str, routes: Value, pod: Pod, tls: MutualTls | None, *, http2: bool = False) -> Value:
    return {
        "@type": _type_url(_HTTP_MANAGER),
        "stat_prefix": direction.lower(),
        "codec_type": "AUTO" if http2 else "HTTP1",  # with AUTO the first bytes tell: users speak HTTP/1.1
        "tracing": _render_tracing(pod) | ({"custom_tags": CUSTOM_TAGS} if tls is not None else {}),
        "access_log": render_access_log(tls, direction) if tls is not None else [],
        "route_config": {"virtual_hosts": routes},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _type_url("envoy.extensions.filters.http.router.v3.Router")},
            }
        ],
    }


def _render_listener(direction: str, address: Value, manager: Value, tls: MutualTls | None = None) -> Value:
    """Return a listener, with `tls` one that takes it too."""
    filters: Value = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    chains: dict[str, Value] = (
        {"filter_chains": [{"filters": filters}]} if tls is None else render_filter_chains(tls, filters)
    )
    return {"name": direction.lower(), "traffic_direction": direction, "address": address, **chains}


def _render_tracing(pod: Pod) -> dict[str, Value]:
    return {
        "random_sampling": {"value": 100},
        # The request that a sidecar sends is then a CLIENT span of its own, whose id is the one on the wire.
        "spawn_upstream_span": True,
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": _type_url("envoy.config.trace.v3.OpenTelemetryConfig"),
                "service_name": pod.service,
                "grpc_service": {"envoy_grpc": {"cluster_name": _PLUGIN_CLUSTER}, "timeout": "1s"},
                "resource_detectors": [
                    {
                        "name": "envoy.tracers.opentelemetry.resource_detectors.environment",
                        "typed_config": {"@type": _type_url(_DETECTOR)},
                    }
                ],
            },
        },
    }


def _render_route(name: str, hosts: Sequence[str], cluster: str) -> Value:
    return {
        "name": name,
        "domains": hosts,
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster}}],
    }


def _render_answer() -> Value:
    answer: Value = {"status": 200, "body": {"inline_string": "from the sidecar"}}
    return {"name": "sidecar", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": answer}]}


def _render_cluster(name: str, address: Value, protocol: str = _HTTP1, requests: int = 0) -> dict[str, Value]:
    """Return a cluster with one endpoint; a connection to it ends after so many requests, 0: never."""
    common: Value = {"max_requests_per_connection": requests} if requests else {}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": _type_url(_HTTP_OPTIONS),
                "common_http_protocol_options": common,
                "explicit_http_config": {protocol: {}},
            }
        },
    }


def _render_plugin_cluster(endpoint: str) -> Value:
    host, _, port = endpoint.rpartition(":")
    return _render_cluster(_PLUGIN_CLUSTER, _render_address(IPv4Address(host), int(port)), _HTTP2)


def _render_address(address: IPv4Address, port: int) -> Value:
    return {"socket_address": {"address": str(address), "port_value": port}}


def _type_url(name: str) -> str:
    return f"type.googleapis.com/{name}"
