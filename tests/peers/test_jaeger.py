"""otel-config/jaeger.yaml behind otel-config/collector-plugin.yaml: what a real Jaeger makes of network spans."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from testbed.peers import choose_ports
from tests.collector_plugin.builders import MS, SECOND
from tests.peers.backend import SCOPE, send
from tests.peers.calls import APPLICATION_SPANS, HOPS, Call, make_spans, make_transits
from tests.peers.jaeger_api import start_jaeger
from tests.peers.peers import HOST, Peers

pytestmark = pytest.mark.peers

WHOLE = len(APPLICATION_SPANS) + len(HOPS)
SKEW_NS = 250 * MS


class Observed:
    """A plugin, and Jaeger behind it."""

    def __init__(self, peers: Peers, max_clock_skew_adjust: str) -> None:
        """Start both."""
        self.api = start_jaeger(peers, max_clock_skew_adjust)
        self.plugin = f"{HOST}:{choose_ports(1)[0]}"
        places = {"localhost:24317": self.plugin, "localhost:4317": self.api.otlp}
        peers.start_plugin("collector-plugin.yaml", places)


@pytest.fixture
def start(peers: Peers) -> Callable[[str], Observed]:
    """Start Jaeger with its correction of clocks up to a time."""
    return lambda max_clock_skew_adjust: Observed(peers, max_clock_skew_adjust)


def is_network_span(span: dict[str, Any]) -> bool:
    """Tell ours by its scope, which Jaeger shows as a tag."""
    return {"key": "otel.scope.name", "type": "string", "value": SCOPE} in span["tags"]


@pytest.mark.parametrize("skew_ns", [0, SKEW_NS, -SKEW_NS], ids=["clocks-agree", "clock-ahead", "clock-behind"])
@pytest.mark.parametrize("adjust", ["0s", "1s"], ids=["correction-off", "correction-on"])
def test_network_spans_lie_under_the_span_that_waited(
    start: Callable[[str], Observed], adjust: str, skew_ns: int
) -> None:
    """Each is there once, a child of the CLIENT, of its process, inside its time, and Jaeger warns of none.

    Whether Jaeger corrects clocks or not, and where the other node's clock is wrong: then of its span alone.
    """
    observed = start(adjust)
    call = Call(1, skew_ns=skew_ns)
    send(observed.plugin, *make_transits([call]), make_spans([call]))
    trace = observed.api.wait_for_trace(call.trace_id, WHOLE)
    hops = sorted(filter(is_network_span, trace["spans"]), key=lambda span: span["startTime"])
    rest = {span["operationName"]: span for span in trace["spans"] if not is_network_span(span)}
    assert [hop["operationName"] for hop in hops] == list(HOPS)
    assert len({hop["spanID"] for hop in hops}) == len(hops)
    client = rest["GET cart"]
    for hop in hops:
        assert not hop["warnings"]
        assert [(ref["refType"], ref["spanID"]) for ref in hop["references"]] == [("CHILD_OF", client["spanID"])]
        assert trace["processes"][hop["processID"]] == trace["processes"][client["processID"]]
        assert client["startTime"] <= hop["startTime"]
        assert hop["startTime"] + hop["duration"] <= client["startTime"] + client["duration"]
    assert not client["warnings"]
    # Jaeger warns of the span of the wrong clock, moved or not: so this case is one, and a warning would be seen.
    assert bool(rest["GET /cart"]["warnings"]) is bool(skew_ns)
    moved_us = rest["GET /cart"]["startTime"] - (call.start_ns + 2 * MS + skew_ns) // 1000
    assert bool(moved_us) is (bool(skew_ns) and adjust != "0s")


def test_no_service_and_no_edge_is_new(start: Callable[[str], Observed]) -> None:
    """What Jaeger tells of services and of who calls whom is the same before and after the network spans come."""
    observed = start("0s")
    start_ns = Call(0).start_ns
    calls = [Call(number, start_ns=start_ns) for number in range(23)]
    send(observed.plugin, make_spans(calls))
    for call in calls:
        observed.api.wait_for_trace(call.trace_id, len(APPLICATION_SPANS))
    services, edges = observed.api.list_services(), observed.api.list_edges(start_ns + 60 * SECOND)
    send(observed.plugin, *make_transits(calls))
    for call in calls:
        observed.api.wait_for_trace(call.trace_id, WHOLE)
    assert observed.api.list_services() == services == {"frontend", "cart"}
    after = observed.api.list_edges(start_ns + 60 * SECOND)
    # Jaeger's memory counts each child as a call, of its own service too: the root and its CLIENT are such a pair.
    assert set(after) == set(edges) == {("frontend", "frontend"), ("frontend", "cart")}
    assert after["frontend", "cart"] == edges["frontend", "cart"] == len(calls)


def test_what_comes_twice_is_shown_once(start: Callable[[str], Observed]) -> None:
    """A probe that sends its transits again to another plugin makes the same spans, which Jaeger takes for one."""
    observed = start("0s")
    call = Call(3)
    send(observed.plugin, *make_transits([call]), make_spans([call]))
    observed.api.wait_for_trace(call.trace_id, WHOLE)
    send(observed.plugin, *make_transits([call]), make_spans([call]))
    other = Call(4)
    send(observed.plugin, *make_transits([other]), make_spans([other]))
    observed.api.wait_for_trace(other.trace_id, WHOLE)
    assert len(observed.api.wait_for_trace(call.trace_id, WHOLE)["spans"]) == WHOLE


def test_trace_read_from_jaeger_is_drawn(start: Callable[[str], Observed]) -> None:
    """What the API gives is what traceview takes: all hops of both directions under the span that waited."""
    observed = start("0s")
    call = Call(5)
    send(observed.plugin, *make_transits([call]), make_spans([call]))
    observed.api.wait_for_trace(call.trace_id, WHOLE)
    document = json.dumps(observed.api.get_otlp(call.trace_id))
    command = [sys.executable, "-m", "traceview", "-"]
    drawn = subprocess.run(command, input=document, capture_output=True, text=True, check=True).stdout
    for name in set(HOPS):
        assert drawn.count(name) == HOPS.count(name)
    assert "frontend" in drawn
    assert "network" in drawn
