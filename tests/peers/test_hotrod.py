"""HotROD over two nodes: applications, probes, Collector, plugin and Jaeger are real, and nothing is made up.

otel-config/collector-inline.yaml with plugin-inline.yaml and jaeger.yaml, as they are shipped.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from testbed.deadline import wait_until
from testbed.network import two_nodes_vxlan
from testbed.requirements import missing_requirements
from testbed.topology import MANAGEMENT_GATEWAY, PLUGIN_ENDPOINT
from tests.peers.backend import ARRIVAL_TIMEOUT_S
from tests.peers.calls import HOPS
from tests.peers.hotrod import CALLS, request_ride, start_hotrod
from tests.peers.jaeger_api import JaegerApi, start_jaeger
from tests.peers.peers import Peers
from tests.peers.programs import choose_ports, find_hotrod
from tests.peers.ways import make_way
from tests.requirements import lack, require_bcc
from tests.testbed.programs_under_test import running_probes
from traceview.breakdown import find_hops, find_servers
from traceview.otlp_json import read_spans
from traceview.span import Span, SpanKind
from traceview.tree import Trace, group_traces

pytestmark = [pytest.mark.peers, pytest.mark.testbed, pytest.mark.bpf]

RIDES = 7
SERVER_TAG = {"key": "span.kind", "type": "string", "value": "server"}


@dataclass(frozen=True)
class Call:
    """A call by HTTP: the span that waited, what it called, and the hops that lie right below it."""

    waited: Span
    servers: tuple[Span, ...]
    hops: tuple[Span, ...]


@pytest.fixture
def jaeger(peers: Peers) -> Iterator[JaegerApi]:
    """Two nodes with a probe each and HotROD, whose spans and hops go to Jaeger."""
    hotrod = find_hotrod()
    if hotrod is None:
        lack("HotROD is not built (make peers)")
    require_bcc()
    if missing := missing_requirements():
        lack("; ".join(missing))
    collector = f"{MANAGEMENT_GATEWAY}:{choose_ports(1)[0]}"
    with two_nodes_vxlan():
        jaeger = start_jaeger(peers)
        way = replace(make_way(peers, "collector-inline.yaml"), otlp_http=collector, plugin=PLUGIN_ENDPOINT)
        way.start_plugin()
        way.start_collector(jaeger.otlp)
        with running_probes(peers.directory, limited=False):
            start_hotrod(peers, hotrod, collector)
            yield jaeger


def read_traces(api: JaegerApi) -> list[Trace]:
    """Return the traces of the frontend that Jaeger has."""
    found = api.get("/api/traces", service="frontend", limit=1000)["data"]
    documents = [json.dumps(api.get_otlp(bytes.fromhex(trace["traceID"]))).encode() for trace in found]
    return list(group_traces(read_spans(documents)))


def has_calls(api: JaegerApi, calls: int) -> bool:
    """Tell whether Jaeger has the hops of so many calls, and their SERVER spans."""
    found = api.get("/api/traces", service="frontend", limit=1000)["data"]
    spans = [(span, trace["processes"][span["processID"]]) for trace in found for span in trace["spans"]]
    hops = sum(span["operationName"] in HOPS for span, _ in spans)
    servers = sum(
        process["serviceName"] in {"customer", "route"} and SERVER_TAG in span["tags"] for span, process in spans
    )
    return hops >= calls * len(HOPS) and servers >= calls


def list_calls(trace: Trace) -> list[Call]:
    """Return the frontend's calls by HTTP."""
    return [
        Call(row.span, find_servers(trace, index), find_hops(trace, index))
        for index, row in enumerate(trace.rows)
        if row.span.service == "frontend" and row.span.kind is SpanKind.CLIENT and row.span.name == "HTTP GET"
    ]


def test_every_call_shows_its_way(jaeger: JaegerApi) -> None:
    """Each ride is a trace in Jaeger, and each of its calls by HTTP has all hops there and back under the CLIENT."""
    for _ in range(RIDES):
        assert request_ride()["Driver"]
    wait_until(
        lambda: has_calls(jaeger, RIDES * CALLS), "hops or servers of HotROD are missing in Jaeger", ARRIVAL_TIMEOUT_S
    )
    traces = read_traces(jaeger)
    assert len(traces) == RIDES
    for trace in traces:
        calls = list_calls(trace)
        assert len(calls) == CALLS
        for call in calls:
            # What TCP sends again is another attempt, with hops of its own.
            first = [hop for hop in call.hops if hop.attempt == 1]
            assert [hop.name for hop in sorted(first, key=lambda hop: hop.start_ns)] == list(HOPS)
            (server,) = call.servers
            assert {hop.node for hop in call.hops} == {"node-1", "node-2"}
            assert call.waited.start_ns <= server.start_ns < server.end_ns <= call.waited.end_ns
            assert all(call.waited.start_ns <= hop.start_ns < hop.end_ns <= call.waited.end_ns for hop in call.hops)
    assert jaeger.list_services() == {"frontend", "customer", "driver", "route", "mysql", "redis-manual"}
