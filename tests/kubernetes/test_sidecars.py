"""Pods with sidecars: a stock Envoy as it is shipped, whose requests have the context at their head."""

import time
from typing import Any

import pytest

from testbed.deadline import wait_until
from tests.kubernetes.sidecars import CALLER, Sidecars
from tests.kubernetes.test_chart import NODE_HOPS
from tests.peers.backend import ARRIVAL_TIMEOUT_S
from tests.peers.jaeger_api import JaegerApi

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]

CALLS = 7


def find_traces(jaeger: JaegerApi, since_ns: int) -> list[list[Any]]:
    """Return the spans of each trace of the calling sidecar."""
    found = jaeger.get("/api/traces", service=CALLER, limit=1000)["data"]
    spans = [trace["spans"] for trace in found]
    return [trace for trace in spans if min(span["startTime"] for span in trace) * 1000 >= since_ns]


def list_hops(trace: list[Any]) -> list[Any]:
    """Return the hops of a trace, in order of time."""
    return sorted((span for span in trace if span["operationName"] in NODE_HOPS), key=lambda span: span["startTime"])


def test_calls_between_sidecars_show_their_way(sidecars: Sidecars, jaeger: JaegerApi) -> None:
    """An application that knows no tracing: each of its calls has all hops, below the span of its sidecar."""
    since_ns = time.time_ns()
    for _ in range(CALLS):
        sidecars.call()
    wait_until(
        lambda: sum(len(list_hops(trace)) == len(NODE_HOPS) for trace in find_traces(jaeger, since_ns)) == CALLS,
        f"not all of {CALLS} calls have {len(NODE_HOPS)} hops in Jaeger",
        ARRIVAL_TIMEOUT_S,
    )
    for trace in find_traces(jaeger, since_ns):
        hops = list_hops(trace)
        assert sorted(hop["operationName"] for hop in hops) == sorted(NODE_HOPS)
        (parent,) = {reference["spanID"] for hop in hops for reference in hop["references"]}
        (waited,) = (span for span in trace if span["spanID"] == parent)
        assert {"key": "span.kind", "type": "string", "value": "client"} in waited["tags"]
