"""What Jaeger shows of HotROD's calls over two nodes: all hops, both ways, under the span that waited."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from testbed.deadline import wait_until
from tests.peers.backend import ARRIVAL_TIMEOUT_S
from tests.peers.calls import HOPS
from tests.peers.hotrod import CALLS
from tests.peers.jaeger_api import JaegerApi
from traceview.breakdown import find_hops, find_servers
from traceview.otlp_json import read_spans
from traceview.span import Span, SpanKind
from traceview.tree import Trace, group_traces

SERVICES = {"frontend", "customer", "driver", "route", "mysql", "redis-manual"}
CALLED = {"customer", "driver", "route"}
"""By the frontend: the first and the last by HTTP, `driver` by gRPC."""

SERVER_TAG = {"key": "span.kind", "type": "string", "value": "server"}


@dataclass(frozen=True)
class Call:
    """A call: the span that waited, what it called, and the hops that lie right below it."""

    waited: Span
    servers: tuple[Span, ...]
    hops: tuple[Span, ...]


def check_rides(jaeger: JaegerApi, rides: int, since_ns: int = 0, hops: Sequence[str] = HOPS) -> list[Call]:
    """Assert that each ride is a trace, and each of its calls has all hops; return the calls of all.

    What began before `since_ns` is another test's. `hops`: those of an exchange, in order of time.
    """
    wait_until(
        lambda: has_calls(jaeger, rides * CALLS, since_ns, hops),
        "hops or servers of HotROD are missing in Jaeger",
        ARRIVAL_TIMEOUT_S,
    )
    traces = read_traces(jaeger, since_ns)
    assert len(traces) == rides
    all_calls = [call for trace in traces for call in list_calls(trace)]
    assert len(all_calls) == rides * CALLS
    for call in all_calls:
        # What TCP sends again is another attempt, with hops of its own.
        first = [hop for hop in call.hops if hop.attempt == 1]
        assert [hop.name for hop in sorted(first, key=lambda hop: hop.start_ns)] == list(hops)
        (server,) = call.servers
        assert {hop.node for hop in call.hops} == {"node-1", "node-2"}
        assert call.waited.start_ns <= server.start_ns < server.end_ns <= call.waited.end_ns
        assert all(call.waited.start_ns <= hop.start_ns < hop.end_ns <= call.waited.end_ns for hop in call.hops)
    return all_calls


def read_traces(api: JaegerApi, since_ns: int = 0) -> list[Trace]:
    """Return the traces of the frontend that Jaeger has."""
    found = _find_traces(api, since_ns)
    documents = [json.dumps(api.get_otlp(bytes.fromhex(trace["traceID"]))).encode() for trace in found]
    return list(group_traces(read_spans(documents)))


def has_calls(api: JaegerApi, calls: int, since_ns: int = 0, expected: Sequence[str] = HOPS) -> bool:
    """Tell whether Jaeger has the hops of so many calls, and their SERVER spans."""
    found = _find_traces(api, since_ns)
    spans = [(span, trace["processes"][span["processID"]]) for trace in found for span in trace["spans"]]
    hops = sum(span["operationName"] in HOPS for span, _ in spans)
    servers = sum(process["serviceName"] in CALLED and SERVER_TAG in span["tags"] for span, process in spans)
    return hops >= calls * len(expected) and servers >= calls


def list_calls(trace: Trace) -> list[Call]:
    """Return the frontend's calls."""
    return [
        Call(row.span, find_servers(trace, index), find_hops(trace, index))
        for index, row in enumerate(trace.rows)
        if row.span.service == "frontend" and row.span.kind is SpanKind.CLIENT
    ]


def _find_traces(api: JaegerApi, since_ns: int) -> list[dict[str, Any]]:
    found = api.get("/api/traces", service="frontend", limit=1000)["data"]
    return [trace for trace in found if min(span["startTime"] for span in trace["spans"]) * 1000 >= since_ns]
