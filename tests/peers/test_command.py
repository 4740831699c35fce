"""The command `hopspan` beside a real Jaeger and a real Zipkin: what went in by the plugin is what it draws."""

import json
import runpy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from collector_plugin.otlp_json_request import read_otlp_json
from collector_plugin.otlp_to_zipkin import convert_request
from testbed.deadline import wait_until
from testbed.peers import choose_ports
from tests.peers.backend import ARRIVAL_TIMEOUT_S, send
from tests.peers.calls import APPLICATION_SPANS, HOPS, Call, make_spans, make_transits
from tests.peers.peers import HOST, Peers
from tests.peers.plugin_process import running_plugin
from traceview.__main__ import main

pytestmark = pytest.mark.peers

CHECKOUT = runpy.run_path(str(Path(__file__).parents[1] / "traceview" / "make_checkout.py"))
MINUTE_NS = 60 * 10**9
NODE_US = (3, 7, 10, 10, 10, 10)
"""Each way between the stamps of a Call that one node has taken."""

WIRES_NS = 200_000
"""There and back; which share is which way depends on the two clocks, whose difference is estimated for each."""


@dataclass(frozen=True)
class Observed:
    """A backend, the options that tell the command of it, and how spans get there."""

    options: Sequence[str]
    plugin: str
    send_lines: Callable[[Sequence[str]], None]
    """Sends requests of OTLP JSON to the backend itself."""


@pytest.fixture(params=["jaeger", "zipkin"])
def observed(request: pytest.FixtureRequest, peers: Peers, tmp_path: Path) -> Iterator[Observed]:
    """Hold a backend with a plugin in front of it."""
    if request.param == "zipkin":
        zipkin = request.getfixturevalue("zipkin")
        with running_plugin(tmp_path, {"zipkin": {"endpoint": zipkin.spans_url}}) as listening:

            def post_lines(lines: Sequence[str]) -> None:
                for line in lines:
                    data = convert_request(read_otlp_json(line.encode())).data
                    headers = {"Content-Type": "application/json"}
                    urlopen(Request(zipkin.spans_url, data, headers), timeout=ARRIVAL_TIMEOUT_S).close()  # noqa: S310 - a URL of ours

            yield Observed(("--from", "zipkin", "--url", zipkin.url), listening["otlp_grpc"], post_lines)
        return
    otlp, page, query, plugin = (f"{HOST}:{port}" for port in choose_ports(4))
    places = {"OTLP_GRPC_ENDPOINT": otlp, "QUERY_HTTP_ENDPOINT": page, "QUERY_GRPC_ENDPOINT": query}
    peers.start_jaeger("jaeger.yaml", places)
    peers.start_plugin("collector-plugin.yaml", {"localhost:24317": plugin, "localhost:4317": otlp})

    def send_lines(lines: Sequence[str]) -> None:
        send(otlp, *(read_otlp_json(line.encode()) for line in lines))

    yield Observed(("--from", "jaeger", "--url", f"http://{page}"), plugin, send_lines)


@pytest.fixture
def run(observed: Observed, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return what runs the command on the backend: its exit code and its output."""

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main([*arguments, *observed.options])
        return code, capsys.readouterr().out

    return run


def test_trace(observed: Observed, run: Callable[..., tuple[int, str]]) -> None:
    """All spans and hops of the call are drawn, the hops with their exact durations below the span that waited."""
    call = Call(time.time_ns() % 2**32)
    trace_id = call.trace_id.hex()
    assert run("trace", trace_id) == (1, "")
    send(observed.plugin, *make_transits([call]), make_spans([call]))
    found: dict[str, Any] = {}

    def is_whole() -> bool:
        code, out = run("trace", trace_id.upper(), "--json")
        found.update(json.loads(out) if code == 0 else {})
        return len(found.get("spans", ())) == len(APPLICATION_SPANS) + len(HOPS)

    wait_until(is_whole, f"the command does not see all of trace {trace_id}", ARRIVAL_TIMEOUT_S)
    hops = [span for span in found["spans"] if span["hop"]]
    assert [hop["name"] for hop in hops] == list(HOPS)
    assert {hop["parent_id"] for hop in hops} == {call.client_id.hex()}
    durations_ns = [hop["duration_ns"] for hop in hops if hop["name"] != "underlay"]
    assert durations_ns == [hop_us * 1000 for hop_us in (*NODE_US, *NODE_US)]
    request, response = (hop for hop in hops if hop["name"] == "underlay")
    drift_ns = response["hop"]["clock_offset_ns"] - request["hop"]["clock_offset_ns"]
    assert request["duration_ns"] + response["duration_ns"] == WIRES_NS + drift_ns
    assert found["left_out"] == []
    (exchange,) = found["exchanges"]
    assert (exchange["client"], exchange["server"]) == ("frontend", "cart")
    assert exchange["network_ns"] == sum(durations_ns) + WIRES_NS + drift_ns
    code, drawn = run("trace", trace_id)
    assert code == 0
    assert "3 spans, 14 hops" in drawn
    assert drawn.count("underlay") == 2


def make_lines(number: int, start_ns: int, extra_ns: int) -> list[str]:
    """Return 40 checkouts, one a second from `start_ns` on, whose vxlan-encap takes so much longer."""
    lines = []
    for line in CHECKOUT["build_lines"](40):
        request = json.loads(line)
        for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            span["traceId"] = f"{number:016x}{span['traceId'][:14]}{number:02x}"
            for key in ("startTimeUnixNano", "endTimeUnixNano"):
                span[key] = str(int(span[key]) - CHECKOUT["EPOCH_NS"] + start_ns)
            for item in span.get("attributes", ()):
                if span["name"] == "vxlan-encap" and item["key"] == "hopspan.duration_ns":
                    item["value"]["intValue"] = str(int(item["value"]["intValue"]) + extra_ns)
        lines.append(json.dumps(request))
    return lines


def write_range(start_ns: int) -> str:
    """Return the minute that begins so, as the command takes it."""
    ends = (datetime.fromtimestamp(time_ns // 10**9, UTC) for time_ns in (start_ns, start_ns + MINUTE_NS))
    return "/".join(f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in ends)


def test_diff(observed: Observed, run: Callable[..., tuple[int, str]]) -> None:
    """Two minutes are compared by what the backend has of them: nothing of other minutes, and of each trace all."""
    now_ns = time.time_ns() // 10**9 * 10**9
    starts_ns = [now_ns - minutes * MINUTE_NS for minutes in (50, 40, 30)]
    for number, (start_ns, extra_ns) in enumerate(zip(starts_ns, (0, 0, 30_000), strict=True), start=1):
        observed.send_lines(make_lines(number, start_ns, extra_ns))
    first, second, third = (write_range(start_ns) for start_ns in starts_ns)
    found: dict[str, Any] = {}

    def compare(before: str, after: str) -> int:
        code, out = run("diff", before, after, "--service", "cart", "--json")
        found.clear()
        found.update(json.loads(out))
        return code

    def has_all() -> bool:
        compare(first, third)
        return [found[side]["hops"] for side in ("before", "after")] == [800, 800]

    wait_until(has_all, "the command does not find all hops", ARRIVAL_TIMEOUT_S)
    assert compare(first, third) == 1
    slower = {hop["name"] for hop in found["hops"] if hop["p50"]["verdict"] == "slower"}
    assert slower == {"vxlan-encap", "all hops, two nodes"}
    assert [found[side]["traces"] for side in ("before", "after")] == [40, 40]
    assert compare(first, second) == 0
    assert {hop["p50"]["difference_ns"] for hop in found["hops"]} == {0}
    assert compare(first, write_range(now_ns - 100 * MINUTE_NS)) == 3
    assert found["after"] == {
        "name": write_range(now_ns - 100 * MINUTE_NS),
        "traces": 0,
        "hops": 0,
        "notes": ["0 traces found"],
    }
