"""Judges a run of the demo by what it left: spans, the ids that packets carried, and the plugin's last words.

Pure: no IO, no clock. A fault is a sentence; without faults every request shows all its hops where they belong.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from testbed.topology import CART_SERVICE, CATALOG_SERVICE, FRONTEND_SERVICE, Service
from testbed.wire_watch import WireRequest
from traceview.breakdown import Breakdown, break_down
from traceview.span import SpanKind
from traceview.tree import Trace
from traceview.verify import OVERLAY_CHAIN, SAME_NODE_CHAIN, Expectation, missing_chains

CHAINS = {
    CART_SERVICE: Expectation(FRONTEND_SERVICE.name, CART_SERVICE.name, OVERLAY_CHAIN),
    CATALOG_SERVICE: Expectation(FRONTEND_SERVICE.name, CATALOG_SERVICE.name, SAME_NODE_CHAIN),
}
"""What each request to the frontend makes it ask, and the hops of each such exchange, the same ones both ways."""

OTLP_EXPORTER = "otlp"
FILE_EXPORTER = "file"
"""Names of the plugin's exporters, by which its counters are told apart."""

_SPAN_KINDS = ("application", "network")


def find_faults(traces: Sequence[Trace], requests: Sequence[WireRequest], count: int) -> list[str]:
    """Return what is missing or wrong after `count` requests, of which the wire showed `requests`."""
    faults = [] if len(traces) == count else [f"{len(traces)} of {count} requests left a trace"]
    for service in CHAINS:
        faults += _compare_ids(service, traces, requests, count)
    faults += missing_chains(traces, list(CHAINS.values()))
    for trace in traces:
        orphans = sum(row.is_orphan for row in trace.rows)
        if orphans:
            faults.append(f"trace {trace.trace_id.hex()}: {orphans} spans whose parent is missing")
    return faults


def find_exchanges(traces: Iterable[Trace], service: Service) -> Iterator[tuple[Trace, Breakdown]]:
    """Yield the exchanges with hops that the service answered, each under the CLIENT span that waited for it."""
    for trace in traces:
        for breakdown in break_down(trace):
            if breakdown.parent.kind == SpanKind.CLIENT and breakdown.server_service == service.name:
                yield trace, breakdown


def find_backend_faults(counts: Mapping[str, int], backend: str) -> list[str]:
    """Return whether the backend lacks spans that the trace file holds; `counts` is what `read_counts` returns."""
    if not counts:
        return ["collector-plugin: it did not stop in order, so what it sent is not known"]
    written = _sum_counts(counts, "exporter_sent_spans", FILE_EXPORTER)
    sent = _sum_counts(counts, "exporter_sent_spans", OTLP_EXPORTER)
    if sent == written:
        return []
    return [
        f"the backend {backend} took {sent} of {written} spans: is it running there, and is that its OTLP gRPC port?"
    ]


def read_counts(plugin_log: str) -> dict[str, int]:
    """Return the counts in the line that the plugin logs when it has stopped, empty where there is none."""
    for text in plugin_log.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and line.get("message") == "stopped":
            return {key: value for key, value in line.items() if isinstance(value, int)}
    return {}


def _compare_ids(
    service: Service, traces: Sequence[Trace], requests: Sequence[WireRequest], count: int
) -> Iterator[str]:
    """Yield how the spans that bear hops differ from those whose ids went over the wire: both must be the same."""
    wanted = (service.cluster_address, service.port)
    carried = {(seen.trace_id, seen.parent_id) for seen in requests if (seen.address, seen.port) == wanted}
    bearing = {(trace.trace_id, found.parent.span_id) for trace, found in find_exchanges(traces, service)}
    if len(carried) != count:
        yield f"{len(carried)} of {count} requests to {service.name} were seen on the wire"
    for trace_id, span_id in sorted(carried - bearing):
        span = f"span {span_id.hex()}, whose id a packet to {service.name} carried"
        yield f"trace {trace_id.hex()}: {span}, is no CLIENT span with hops"
    for trace_id, span_id in sorted(bearing - carried):
        span = f"span {span_id.hex()} has hops to {service.name}"
        yield f"trace {trace_id.hex()}: {span}, but no packet carried its id"


def _sum_counts(counts: Mapping[str, int], name: str, exporter: str) -> int:
    return sum(counts.get(f"{name}{{{exporter},{kind}}}", 0) for kind in _SPAN_KINDS)
