"""The pipeline's bench: its load is what its notes say, and a quick run has every figure.

Verdicts are of counts; the bounds on speed are far away, and tell a broken bench or a disaster.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector_plugin.otlp_walk import walk_request
from node_probe.wire_batch import read_batch
from testbed.peers import find_collector
from tests.bench.figures import find_figure, middle
from tests.bench.pipeline_cases import CASES, COLLECTOR_CASES, ORDER, PLUGIN_CASES, RATIOS, Protocol, configure
from tests.bench.pipeline_load import CALLERS, Load
from tests.bench.pipeline_overload import find_good_second
from tests.bench.pipeline_report import PIPELINE_TARGETS
from tests.bench.pipeline_requests import (
    HOP_MARK,
    HOPS_PER_EXCHANGE,
    REQUESTS_PER_BATCH,
    SPAN_MARK,
    SPANS,
    TRANSITS_PER_EXCHANGE,
    Traffic,
)
from tests.bench.pipeline_servers import choose_ports
from tests.bench.pipeline_sinks import Tally, open_sinks
from tests.bench.targets import Target
from tests.collector_plugin.builders import list_spans
from tests.collector_plugin.join_story import Story
from tests.requirements import lack

FAR = 50
"""A figure this many times worse than its target is a broken bench, or a disaster."""


def require_collector() -> str:
    """Need the real Collector."""
    path = find_collector()
    if path is None:
        lack("the OpenTelemetry Collector is not built (make peers)")
    return str(path)


class TestTraffic:
    """What the load sends."""

    def test_otlp_request_is_as_wide_as_the_notes_say(self) -> None:
        """A hundred spans in twenty traces, ten attributes of fourteen bytes each, one resource."""
        batch = Traffic(zipkin=False).make_batch(3)
        data = batch.spans(batch.numbers[4])
        spans = list_spans([data])
        assert len(ExportTraceServiceRequest.FromString(data).resource_spans) == 1
        assert len(spans) == SPANS == data.count(SPAN_MARK)
        assert {len(span.attributes) for span in spans} == {10}
        assert {len(item.value.string_value) for span in spans for item in span.attributes} == {14}
        assert len({span.trace_id for span in spans}) == 20
        assert not data.count(HOP_MARK)

    def test_zipkin_request_says_the_same(self) -> None:
        """Its spans have the ids, times and attributes of the OTLP request with the same number."""
        batch, other = (Traffic(zipkin=zipkin).make_batch(3) for zipkin in (True, False))
        data = batch.spans(batch.numbers[4])
        spans = json.loads(data)
        assert len(spans) == SPANS == data.count(SPAN_MARK)
        for span, expected in zip(spans, list_spans([other.spans(batch.numbers[4])]), strict=True):
            assert (span["traceId"], span["id"]) == (expected.trace_id.hex(), expected.span_id.hex())
            assert span["parentId"] == expected.parent_span_id.hex()
            assert span["timestamp"] * 1000 == expected.start_time_unix_nano
            assert span["tags"] == {item.key: item.value.string_value for item in expected.attributes}

    def test_no_two_spans_share_an_id(self) -> None:
        """Ids differ within a request, between requests and between batches."""
        traffic = Traffic(zipkin=False)
        batches = [traffic.make_batch(place) for place in range(3)]
        requests = [batch.spans(number) for batch in batches for number in batch.numbers]
        spans = list_spans(requests)
        assert len({span.span_id for span in spans}) == len(spans) == 3 * REQUESTS_PER_BATCH * SPANS

    def test_transits_join_one_span_in_a_hundred(self) -> None:
        """Each request has one exchange between two nodes with clocks of their own, and all of it becomes spans."""
        story, traffic = Story(), Traffic(zipkin=False)
        for place in range(20):
            batch = traffic.make_batch(place)
            for data in (batch.before, *map(batch.spans, batch.numbers), batch.after):
                walk = walk_request(data)
                for group in walk.application:
                    story.join.add_parents(group.resource, group.spans, 0, group.peers)
                for part in walk.transits:
                    story.join.add_batch(read_batch(part.resource_spans), 0)
        exchanges = 20 * REQUESTS_PER_BATCH
        assert story.join.received == story.join.joined == exchanges * TRANSITS_PER_EXCHANGE
        assert sum(len(emission.spans) for emission in story.join.take_due(0)) == exchanges * HOPS_PER_EXCHANGE


@pytest.mark.parametrize("protocol", Protocol)
def test_load_and_sink_agree(protocol: Protocol) -> None:
    """Straight from load to sink nothing is lost, and each caller sends whole batches, one at least."""
    tally, threads = Tally(), threading.active_count()
    with open_sinks(tally) as sinks:
        sent = Load(sinks, protocol, transits=True).run(0.01)
    received = tally.read()
    assert not sent.refusals
    assert sent.spans == received.spans == len(sent.latencies_ns) * SPANS
    assert sent.exchanges * SPANS == sent.spans
    assert received.requests * REQUESTS_PER_BATCH == sent.exchanges * (REQUESTS_PER_BATCH + 2)
    assert sent.exchanges >= CALLERS * REQUESTS_PER_BATCH
    assert threading.active_count() < threads + CALLERS


@pytest.mark.parametrize(
    ("late", "expected"),
    [([], 0.0), ([0.5], 0.5), ([0.1, 0.9, 1.5, 4.0], 1.5), ([2.0], 0.0), ([0.5, 1.4, 2.3, 3.2], 3.0)],
)
def test_recovery_is_the_first_good_second(late: list[float], expected: float) -> None:
    """A late answer long after is no part of the recovery; without a good second it takes all the time."""
    assert find_good_second(late, 3.0) == expected


def test_every_case_has_its_place() -> None:
    """The order of a round has each case once, and ratios are of cases with the same way in and out."""
    assert sorted(ORDER) == sorted(CASES) == sorted({case.key for case in (*PLUGIN_CASES, *COLLECTOR_CASES)})
    for ours, theirs in RATIOS.values():
        assert (CASES[ours].receiver, CASES[ours].exporter) == (CASES[theirs].receiver, CASES[theirs].exporter)


@pytest.mark.parametrize("case", COLLECTOR_CASES, ids=lambda case: case.key)
def test_collector_takes_its_configuration(case: Any, tmp_path: Any) -> None:
    """The real Collector finds no fault in it."""
    path = require_collector()
    ports, metrics_port = choose_ports()
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(configure(case, ports, ports, metrics_port)))
    done = subprocess.run([path, "validate", "--config", str(config)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def report() -> Mapping[str, Any]:
    """One quick run of all cases."""
    require_collector()
    command = [sys.executable, "-m", "tests.bench.pipeline", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


def require_case(report: Mapping[str, Any], key: str) -> None:
    """Need a figure that could be measured."""
    cases = RATIOS.get(key, (key,))
    for case in cases:
        if case in report.get("failed", {}):
            lack(f"{case} does not run: {report['failed'][case]}")


class TestReport:
    """A quick run."""

    @pytest.mark.parametrize("key", ORDER)
    def test_nothing_is_lost(self, report: Mapping[str, Any], key: str) -> None:
        """What was sent reached the sink once, and with the plugin network spans came too."""
        require_case(report, key)
        assert middle(find_figure(report, f"{key}.spans"))
        assert find_figure(report, f"{key}.lost") == 0
        assert bool(find_figure(report, f"{key}.network_spans")) is not key.startswith("collector.")

    @pytest.mark.parametrize("target", PIPELINE_TARGETS, ids=lambda target: target.key)
    def test_figures_are_not_absurd(self, report: Mapping[str, Any], target: Target) -> None:
        """A ratio or a size is within a factor of 50 of its target."""
        require_case(report, target.key)
        value = middle(find_figure(report, target.key))
        assert value is not None
        far = target.limit / FAR if target.at_least else target.limit * FAR
        assert Target(target.key, far, target.at_least).is_met_by(value)
