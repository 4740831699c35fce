"""What claiming flows costs: the walk of spans that name their connection, and the book that asks one agent for each.

One process and one thread, no IO: agents are queues that are emptied. What the walk costs without is in plugin_width.
"""

import gc
import time
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector_plugin.claim_book import ClaimBook
from collector_plugin.flow_names import FlowNames
from collector_plugin.flow_settings import FlowAttributes
from collector_plugin.otlp_walk import walk_request
from tests.bench.figures import spread
from tests.bench.pipeline_requests import SPANS, make_otlp_template
from tests.collector_plugin.claim_story import CLIENT

WIDTH = 14
"""Bytes of each of ten attributes beside the three that name the connection, as the pipeline's load has them."""

CONNECTIONS = 32


def describe() -> dict[str, str]:
    """Return what the figures are."""
    return {
        "flows.walk_us_per_span": "CPU time to walk a request of 100 CLIENT spans with ten attributes and three that "
        "name the connection, and to read what they claim",
        "flows.claim_us_per_span": "CPU time to claim each from the agent that is known to have the address",
    }


def measure_flows(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the section `flows`."""
    requests = 10 if quick else 100
    mould = make_otlp_template("v" * WIDTH).at(0)
    made = [_name_connections(mould(number)) for number in range(requests)]
    measured = [_run(made) for _ in range(rounds)]
    return {
        "flows": {
            "walk_us_per_span": spread([walked for walked, _ in measured]),
            "claim_us_per_span": spread([claimed for _, claimed in measured]),
        }
    }


def _name_connections(data: bytes) -> bytes:
    request = ExportTraceServiceRequest.FromString(data)
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for number, span in enumerate(scope.spans):
                span.kind = span.SPAN_KIND_CLIENT
                for key, value in (
                    ("hopspan.local", f"10.244.1.10:{40_000 + number % CONNECTIONS}"),
                    ("hopspan.remote", "10.244.2.20:15006"),
                    ("hopspan.protocol", "HTTP/1.1"),
                ):
                    span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def _run(made: list[bytes]) -> tuple[float, float]:
    """Return microseconds of CPU time for each span: to walk it, and to claim its flow."""
    names, book = FlowNames(FlowAttributes()), ClaimBook()
    book.add_agent(1, "node-1")
    book.addresses.learn(CLIENT, "node-1", 1)
    gc.collect()
    started_ns = time.process_time_ns()
    flows = [walk_request(data, names).flows for data in made]
    walked_ns = time.process_time_ns()
    for claims in flows:
        book.add_spans(claims, 1)
        while book.take(1, 1) is not None:
            pass
    claimed_ns = time.process_time_ns()
    spans = len(made) * SPANS
    assert book.counts.to_known == spans
    return (walked_ns - started_ns) / 1_000 / spans, (claimed_ns - walked_ns) / 1_000 / spans
