"""Calls between pods with sidecars, and what Jaeger shows of them."""

import time
from typing import Any

from testbed.deadline import wait_until
from tests.kubernetes.sidecars import CALLER, Sidecars
from tests.kubernetes.test_chart import NODE_HOPS
from tests.peers.backend import ARRIVAL_TIMEOUT_S
from tests.peers.jaeger_api import JaegerApi

CALLS = 7


def check_calls(sidecars: Sidecars, jaeger: JaegerApi) -> list[Any]:
    """Call, and check that each call has all hops, below one span; return these spans."""
    since_ns = time.time_ns()
    for _ in range(CALLS):
        sidecars.call()
    wait_until(
        lambda: sum(len(_list_hops(trace)) == len(NODE_HOPS) for trace in _find_traces(jaeger, since_ns)) == CALLS,
        f"not all of {CALLS} calls have {len(NODE_HOPS)} hops in Jaeger",
        ARRIVAL_TIMEOUT_S,
    )
    return [_find_parent(trace) for trace in _find_traces(jaeger, since_ns)]


def _find_traces(jaeger: JaegerApi, since_ns: int) -> list[list[Any]]:
    """Return the spans of each trace of the calling sidecar."""
    found = jaeger.get("/api/traces", service=CALLER, limit=1000)["data"]
    spans = [trace["spans"] for trace in found]
    return [trace for trace in spans if min(span["startTime"] for span in trace) * 1000 >= since_ns]


def _list_hops(trace: list[Any]) -> list[Any]:
    return [span for span in trace if span["operationName"] in NODE_HOPS]


def _find_parent(trace: list[Any]) -> Any:
    hops = _list_hops(trace)
    assert sorted(hop["operationName"] for hop in hops) == sorted(NODE_HOPS)
    (parent,) = {reference["spanID"] for hop in hops for reference in hop["references"]}
    (waited,) = (span for span in trace if span["spanID"] == parent)
    return waited
