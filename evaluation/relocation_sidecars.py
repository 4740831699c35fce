"""Writes the sidecars' configurations of question 1 out of the one that is shipped: all variants in each sidecar.

The port at which the frontend is asked says which variant a request is; its sidecar writes that into the baggage, as
HotROD's page does with its session, and HotROD passes it on. Values only, but for the files of otel-config/envoy.
"""

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from evaluation.relocation_runs import FIRST, UNTRACED, VARIANTS
from testbed.repository import ROOT

INBOUND_PORTS = {variant: 8000 + number for number, variant in enumerate(VARIANTS)}
"""Of every sidecar."""

_UNTRACED_FROM = 100
"""What an upstream's port differs by for the application whose requests are not traced."""

_FOLDER = ROOT / "otel-config" / "envoy"
_SCRIPT = "context-first.lua"
_ANYWHERE = "0.0.0.0"  # noqa: S104 - within the pod
_LOCAL = "127.0.0.1"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_LUA = "envoy.filters.http.lua"

Place = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True)
class Upstream:
    """A service that an application calls through its sidecar, at a port of its own of the loopback."""

    name: str
    port: int
    address: str
    is_grpc: bool = False

    def find_port(self, *, is_traced: bool) -> int:
        """Return the port at which requests are traced, or are not: a listener does one or the other."""
        return self.port if is_traced else self.port + _UNTRACED_FROM


@dataclass(frozen=True)
class Sidecar:
    """A pod's sidecar."""

    service: str
    application_port: int
    upstreams: tuple[Upstream, ...] = ()
    passed_on: tuple[str, ...] = ()
    """Of the upstreams, those whose path `/name` goes there at once, without the application."""
    untraced_port: int | None = None
    """Of a second process of the application, which calls the upstreams where requests are not traced."""
    is_grpc: bool = False


def name_session(variant: str) -> str:
    """Return what the baggage of all the variant's requests holds; of one length, so that header blocks are."""
    return f"session={INBOUND_PORTS[variant]}"


def render_files(sidecar: Sidecar, collector: Place) -> dict[str, str]:
    """Return the sidecar's files by name: `envoy.yaml` is the one to start with."""
    shipped = _Shipped(sidecar.service)
    parts = [_render_inbound(shipped, sidecar), _render_outbound(shipped, sidecar)]
    listeners, clusters = ([each for part in parts for each in part[kind]] for kind in (0, 1))
    clusters.append(shipped.render_cluster("spans", collector, is_grpc=True))
    config = {"static_resources": {"listeners": listeners, "clusters": clusters}}
    return {"envoy.yaml": json.dumps(config), _SCRIPT: (_FOLDER / _SCRIPT).read_text()}


def _render_inbound(shipped: "_Shipped", sidecar: Sidecar) -> tuple[list[Any], list[Any]]:
    """Return a listener for each variant, and the clusters of the application."""
    ports = {"app": sidecar.application_port}
    if sidecar.untraced_port is not None:
        ports["app-untraced"] = sidecar.untraced_port
    listeners = []
    for variant, port in INBOUND_PORTS.items():
        application = "app-untraced" if variant == UNTRACED and sidecar.untraced_port is not None else "app"
        routes = [_render_route(f"/{name}", _name_cluster(name, variant)) for name in sidecar.passed_on]
        routes.append(_render_route("/", application))
        name, place = f"inbound-{port}", (_ANYWHERE, port)
        listener = shipped.render_listener(name, place, routes, is_traced=variant != UNTRACED)
        if sidecar.upstreams:  # where requests begin
            _find_host(listener)["request_headers_to_add"] = [
                {"header": {"key": "baggage", "value": name_session(variant)}}
            ]
        listeners.append(listener)
    return listeners, [
        shipped.render_cluster(name, (_LOCAL, port), is_grpc=sidecar.is_grpc) for name, port in ports.items()
    ]


def _render_outbound(shipped: "_Shipped", sidecar: Sidecar) -> tuple[list[Any], list[Any]]:
    """Return a listener with tracing and one without for each upstream, and a cluster for each variant."""
    listeners, clusters = [], []
    for upstream in sidecar.upstreams:
        for is_traced in (True, False):
            name, port = f"{upstream.name}-{is_traced}", upstream.find_port(is_traced=is_traced)
            routes = [
                _render_route("/", _name_cluster(upstream.name, variant), name_session(variant))
                for variant in VARIANTS
                if (variant != UNTRACED) == is_traced
            ]
            listeners.append(shipped.render_listener(name, (_LOCAL, port), routes, is_traced=is_traced))
        for variant, port in INBOUND_PORTS.items():
            name, place = _name_cluster(upstream.name, variant), (upstream.address, port)
            # HPACK's header block is no text in which a place would matter.
            has_filter = variant == FIRST and not upstream.is_grpc
            clusters.append(shipped.render_cluster(name, place, is_grpc=upstream.is_grpc, has_filter=has_filter))
    return listeners, clusters


class _Shipped:
    """The shipped configuration's parts, with other names and addresses."""

    def __init__(self, service: str) -> None:
        self._service = service
        resources = yaml.safe_load((_FOLDER / "envoy.yaml").read_text())["static_resources"]
        (self._listener,) = resources["listeners"]
        self._cluster = next(cluster for cluster in resources["clusters"] if cluster["name"] == "upstream")

    def render_listener(self, name: str, place: Place, routes: Sequence[Any], *, is_traced: bool) -> Any:
        """Return a listener with these routes, of which the first that fits is taken."""
        listener = copy.deepcopy(self._listener)
        listener |= {"name": name, "address": _render_address(place)}
        manager = _find_manager(listener)
        manager["stat_prefix"] = name
        _find_host(listener)["routes"] = list(routes)
        if is_traced:
            manager["tracing"]["provider"]["typed_config"]["service_name"] = self._service
        else:
            del manager["tracing"]
        return listener

    def render_cluster(self, name: str, place: Place, *, is_grpc: bool, has_filter: bool = False) -> Any:
        """Return a cluster of one address, with the filter or without."""
        cluster = copy.deepcopy(self._cluster)
        cluster["name"] = name
        cluster["load_assignment"] = {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _render_address(place)}}]}],
        }
        options = cluster["typed_extension_protocol_options"][_HTTP_OPTIONS]
        if is_grpc:
            options["explicit_http_config"] = {"http2_protocol_options": {}}
        if not has_filter:
            options["http_filters"] = [entry for entry in options["http_filters"] if entry["name"] != _LUA]
        return cluster


def _find_manager(listener: Any) -> Any:
    (manager,) = (entry["typed_config"] for entry in listener["filter_chains"][0]["filters"])
    return manager


def _find_host(listener: Any) -> Any:
    (host,) = _find_manager(listener)["route_config"]["virtual_hosts"]
    return host


def _name_cluster(upstream: str, variant: str) -> str:
    return f"{upstream}-{INBOUND_PORTS[variant]}"


def _render_route(prefix: str, cluster: str, session: str | None = None) -> Any:
    match: dict[str, Any] = {"prefix": prefix}
    if session is not None:
        match["headers"] = [{"name": "baggage", "string_match": {"contains": session}}]
    return {"match": match, "route": {"cluster": cluster}}


def _render_address(place: Place) -> Any:
    host, port = place
    return {"socket_address": {"address": host, "port_value": port}}
