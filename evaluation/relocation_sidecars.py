"""Writes the sidecars' configurations of question 1 out of the one that is shipped: context last, first, or none.

Values only, but for the files of otel-config/envoy that are read.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from evaluation.relocation_runs import FIRST, UNTRACED
from testbed.repository import ROOT

INBOUND_PORT = 8000

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
    place: Place
    is_grpc: bool = False


@dataclass(frozen=True)
class Sidecar:
    """A pod's sidecar."""

    service: str
    application_port: int
    upstreams: tuple[Upstream, ...] = ()
    passed_on: tuple[str, ...] = ()
    """Of the upstreams, those whose path `/name` goes there at once, without the application."""
    is_grpc: bool = False


def render_files(sidecar: Sidecar, variant: str, collector: Place) -> dict[str, str]:
    """Return the sidecar's files by name: `envoy.yaml` is the one to start with."""
    shipped = _Shipped(variant, sidecar.service)
    listeners = [
        shipped.render_listener(
            "inbound", (_ANYWHERE, INBOUND_PORT), {**{f"/{name}": name for name in sidecar.passed_on}, "/": "app"}
        )
    ]
    clusters = [shipped.render_cluster("app", (_LOCAL, sidecar.application_port), is_grpc=sidecar.is_grpc)]
    for upstream in sidecar.upstreams:
        listeners.append(shipped.render_listener(upstream.name, (_LOCAL, upstream.port), {"/": upstream.name}))
        clusters.append(
            shipped.render_cluster(upstream.name, upstream.place, is_grpc=upstream.is_grpc, is_outbound=True)
        )
    if variant != UNTRACED:
        clusters.append(shipped.render_cluster("spans", collector, is_grpc=True))
    config = {"static_resources": {"listeners": listeners, "clusters": clusters}}
    return {"envoy.yaml": json.dumps(config), _SCRIPT: (_FOLDER / _SCRIPT).read_text()}


class _Shipped:
    """The shipped configuration's parts, with other names and addresses."""

    def __init__(self, variant: str, service: str) -> None:
        self._variant = variant
        self._service = service
        resources = yaml.safe_load((_FOLDER / "envoy.yaml").read_text())["static_resources"]
        (self._listener,) = resources["listeners"]
        self._cluster = next(cluster for cluster in resources["clusters"] if cluster["name"] == "upstream")

    def render_listener(self, name: str, place: Place, routes: Mapping[str, str]) -> Any:
        """Return a listener; `routes`: prefix of the path -> cluster, the first that fits."""
        listener = copy.deepcopy(self._listener)
        listener |= {"name": name, "address": _render_address(place)}
        (manager,) = (entry["typed_config"] for entry in listener["filter_chains"][0]["filters"])
        manager["stat_prefix"] = name
        (host,) = manager["route_config"]["virtual_hosts"]
        host["routes"] = [
            {"match": {"prefix": prefix}, "route": {"cluster": cluster}} for prefix, cluster in routes.items()
        ]
        if self._variant == UNTRACED:
            del manager["tracing"]
        else:
            manager["tracing"]["provider"]["typed_config"]["service_name"] = self._service
        return listener

    def render_cluster(self, name: str, place: Place, *, is_grpc: bool, is_outbound: bool = False) -> Any:
        """Return a cluster of one address; outbound requests have the context where the variant has it."""
        cluster = copy.deepcopy(self._cluster)
        cluster["name"] = name
        cluster["load_assignment"] = {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _render_address(place)}}]}],
        }
        options = cluster["typed_extension_protocol_options"][_HTTP_OPTIONS]
        if is_grpc:
            options["explicit_http_config"] = {"http2_protocol_options": {}}
        # HPACK's header block is no text in which a place would matter.
        is_text = not is_grpc
        if not (is_text and is_outbound and self._variant == FIRST):
            options["http_filters"] = [entry for entry in options["http_filters"] if entry["name"] != _LUA]
        return cluster


def _render_address(place: Place) -> Any:
    host, port = place
    return {"socket_address": {"address": host, "port_value": port}}
