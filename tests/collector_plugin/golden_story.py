"""Stories in files: spans and transits that arrive at given times, and what must come out and when.

A folder has `spans.json` (OTLP JSON requests, each with the time of its arrival), `transits.json` (batches of nodes,
as readable values), `expected.json`, and where a story needs them `settings.json`, other than the defaults, and
`kubernetes.json`, the pods and services of the cluster as its API server lists them.
"""

import json
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import msgspec

from collector_plugin.end_names import EndNames
from collector_plugin.hops import PLAIN_ENDS, DescribeEnds
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.kubernetes_cluster import Cluster
from collector_plugin.kubernetes_feed import Feed, handle_pods, handle_services
from collector_plugin.otlp_json import decode_request, encode_request
from collector_plugin.otlp_spans import encode_emissions
from collector_plugin.otlp_walk import walk_request
from node_probe.transit import Context, ContextFormat, Direction, Point, Stamp, Transit, Tunnel
from node_probe.wire_batch import NodeIdentity, RawBatch
from tests.collector_plugin.builders import EPOCH_NS, MS, SECOND, address, make_raw
from tests.collector_plugin.cluster_objects import write_page

DEFAULT_SETTINGS = {"window_ns": 60 * SECOND, "settle_ns": 2 * SECOND, "min_duration_ns": 0, "max_per_trace": 1000}
VERSION = "0.1.0"
TICK_MS = 50
TICKS_BEYOND_MS = 150_000
"""Long enough after the last arrival for every window of the defaults to pass twice."""

START_NS = 77 * SECOND
"""The plugin's own clock at the story's beginning: any number, and unlike those of the nodes."""

_POINTS = {point.label: point for point in Point}


def run_story(folder: Path) -> dict[str, Any]:
    """Return what comes out of the story, in the form of `expected.json`."""
    settings = msgspec.convert({**DEFAULT_SETTINGS, **_load(folder / "settings.json", {})}, JoinSettings)
    join = Join(settings, _read_cluster(_load(folder / "kubernetes.json", None)))
    requests, batches = _load(folder / "spans.json", []), _load(folder / "transits.json", [])
    arrivals: list[tuple[int, Callable[[int], None]]] = [
        *((request["at_ms"], _plan_spans(join, request)) for request in requests),
        *((batch["at_ms"], _plan_batch(join, _read_batch(batch))) for batch in batches),
    ]
    arrivals.sort(key=lambda arrival: arrival[0])
    out: list[dict[str, Any]] = []
    end_ms = max(at_ms for at_ms, _ in arrivals) + TICKS_BEYOND_MS
    for now_ms in range(0, end_ms, TICK_MS):
        now_ns = START_NS + now_ms * MS
        while arrivals and arrivals[0][0] <= now_ms:
            arrivals.pop(0)[1](now_ns)
        encoded = encode_emissions(join.take_due(now_ns), VERSION)
        out += [{"at_ms": now_ms, **json.loads(encode_request(request.data))} for request in encoded]
    return {"out": out, "counts": _read_counts(join)}


def dump_readably(value: Any, indent: int = 0, width: int = 116) -> str:
    """Return JSON in which whatever fits on a line stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= width or not isinstance(value, dict | list) or not value:
        return line
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        parts = [f"{pad}{json.dumps(k)}: {dump_readably(v, indent + 1, width)}" for k, v in value.items()]
    else:
        parts = [pad + dump_readably(item, indent + 1, width) for item in value]
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    return opening + "\n" + ",\n".join(parts) + "\n" + " " * indent + closing


def write_transit(transit: Transit) -> dict[str, Any]:
    """Return a transit as a readable value."""
    context = transit.context
    return {
        "trace_id": context.trace_id.hex(),
        "parent_id": context.parent_id.hex(),
        "flags": context.flags,
        "direction": transit.direction.label,
        "seq": transit.seq,
        "tsval": transit.tsval,
        "client": [_write_address(transit.client_address), transit.client_port],
        "server": [_write_address(transit.server_address), transit.server_port],
        "tunnel": transit.tunnel.name.lower(),
        "vni": transit.vni,
        "outer": [_write_address(transit.outer_source), _write_address(transit.outer_destination)],
        "stamps": [[stamp.point.label, stamp.ifindex, stamp.monotonic_ns] for stamp in transit.stamps],
        **({"stream_id": transit.stream_id} if transit.stream_id else {}),
    }


def read_transit(value: dict[str, Any]) -> Transit:
    """Return the transit of its readable value."""
    return Transit(
        context=Context(
            bytes.fromhex(value["trace_id"]),
            bytes.fromhex(value["parent_id"]),
            value["flags"],
            ContextFormat.TRACEPARENT,
        ),
        direction=Direction[value["direction"].upper()],
        seq=value["seq"],
        tsval=value["tsval"],
        client_address=address(value["client"][0]),
        client_port=value["client"][1],
        server_address=address(value["server"][0]),
        server_port=value["server"][1],
        tunnel=Tunnel[value["tunnel"].upper()],
        vni=value["vni"],
        outer_source=address(value["outer"][0]),
        outer_destination=address(value["outer"][1]),
        stamps=tuple(Stamp(_POINTS[label], ifindex, ns) for label, ifindex, ns in value["stamps"]),
        stream_id=value.get("stream_id", 0),
    )


def _read_cluster(value: dict[str, Any] | None) -> DescribeEnds:
    if value is None:
        return PLAIN_ENDS
    cluster = Cluster(150 * SECOND)
    for kind, handler in (("pods", handle_pods(cluster)), ("services", handle_services(cluster))):
        feed = Feed(handler, 90 * SECOND)
        feed.begin_list(EPOCH_NS)
        feed.add_page(write_page(value[kind]), EPOCH_NS)
        feed.confirm(EPOCH_NS)
    return EndNames(cluster).describe


def _read_batch(value: dict[str, Any]) -> RawBatch:
    return RawBatch(
        NodeIdentity(value["node"], "", value["node"], value["clock_id"], value.get("k8s_node_name", "")),
        value["epoch_offset_ns"],
        {int(ifindex): name for ifindex, name in value["interfaces"].items()},
        tuple(make_raw(read_transit(item)) for item in value["transits"]),
    )


def _plan_spans(join: Join, request: dict[str, Any]) -> Callable[[int], None]:
    walk = walk_request(decode_request(json.dumps(request).encode()))

    def arrive(now_ns: int) -> None:
        for group in walk.application:
            join.add_parents(group.resource, group.spans, now_ns, group.peers)

    return arrive


def _plan_batch(join: Join, batch: RawBatch) -> Callable[[int], None]:
    return lambda now_ns: join.add_batch(batch, now_ns)


def _read_counts(join: Join) -> dict[str, Any]:
    counts = {
        "received_transits": join.received,
        "joined_transits": join.joined,
        "released_transits": {str(reason): number for reason, number in join.released.items() if number},
        "dropped_hops": {str(reason): number for reason, number in join.dropped.items() if number},
    }
    return {key: value for key, value in counts.items() if value}


def _load(path: Path, default: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default


def _write_address(packed: bytes) -> str:
    value = IPv6Address(packed)
    return str(value.ipv4_mapped or value)
