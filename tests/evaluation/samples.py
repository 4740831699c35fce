"""Made-up answers, with figures that are told apart, and a made-up trace of one call."""

from evaluation.results import Results
from evaluation.results_faults import FaultResult, FaultsResult, Growth
from evaluation.results_relocation import Blocks, LoadResult, Measure, RelocationResult, SearchCost
from evaluation.values import Estimate, Head
from testbed.demo_verdict import CHAINS
from testbed.topology import CART_SERVICE
from traceview.span import Direction, Span, SpanKind
from traceview.tree import Trace, group_traces

TRACE_ID = bytes(range(16))
HEAD = Head("full", "2026-11-30T00:00:00Z", "a CPU", 2, "6.18.0", 0.5, {"hopspan": "0.1.0", "python": "3.11.2"})


def make_fault(name: str = "iptables rules", **changes: object) -> FaultResult:
    """Return a fault that was found, unless the changes say otherwise."""
    fields: dict[str, object] = {
        "name": name,
        "cause": "many rules",
        "truth": "two packet sockets",
        "expected": ("host-forward (request, node-1)",),
        "found": ("host-forward (request, node-1)",),
        "true_us": Estimate(1234.5, 1200.0, 1300.0),
        "measured_us": Estimate(1231.5, 1190.0, 1310.0),
        "error_us": Estimate(-3.0, -10.0, 5.0),
        "gap_us": Estimate(2345.6, 2000.0, 2600.0),
        "growths": (
            Growth("host-forward (request, node-1)", 7.5, 1239.0, Estimate(1231.5, 1190.0, 1310.0)),
            Growth("underlay (request, node-1)", 8.25, 9.5, Estimate(1.25, -2.0, 3.0)),
        ),
        "requests": 310,
        "incomplete": 0,
        "unnumbered": 0,
    }
    return FaultResult(**(fields | changes))  # type: ignore[arg-type]


def make_results(*faults: FaultResult) -> Results:
    """Return results with these faults, or one that was found."""
    return Results(faults=FaultsResult(HEAD, 15, 31, 600.5, faults or (make_fault(),)))


def make_measure(name: str = "p50", **changes: object) -> Measure:
    """Return a measure that does not change, unless the changes say otherwise."""
    fields: dict[str, object] = {
        "load": "ride",
        "level": "80 %",
        "name": name,
        "medians": {
            "context last": 300.5,
            "context last again": 298.5,
            "context first": 301.5,
            "no tracing": 250.0,
        },
        "relocation": Estimate(1.003, 0.99, 1.02),
        "control": Estimate(0.995, 0.98, 1.01),
        "tracing": Estimate(1.2, 1.1, 1.3),
    }
    return Measure(**(fields | changes))  # type: ignore[arg-type]


def make_relocation(*measures: Measure, **changes: object) -> RelocationResult:
    """Return an answer to question 1 with these measures, or with a latency and a throughput."""
    throughput = make_measure("throughput", level="closed loop")
    fields: dict[str, object] = {
        "head": HEAD,
        "rounds": 9,
        "seconds": 1000.5,
        "loads": (LoadResult("ride", "/ride", 50.5, 32, 7.5, {"context last": 9000}, {"context last": 0}),),
        "measures": measures or (make_measure(), throughput),
        "blocks": (
            Blocks("context last", 240, (300, 600, 700), (290, 590, 690), {128: 0.0, 512: 0.4, 1024: 0.9}),
            Blocks("context first", 240, (300, 600, 700), (120, 125, 128), {128: 1.0, 512: 1.0, 1024: 1.0}),
        ),
        "search": (
            SearchCost(200, 1, 900.0, 950.0, Estimate(50.0, 10.0, 90.0)),
            SearchCost(8192, 6, 2000.0, 12000.0, Estimate(10000.0, 9000.0, 11000.0)),
        ),
        "search_rounds": 15,
        "search_requests": 200,
    }
    return RelocationResult(**(fields | changes))  # type: ignore[arg-type]


def make_trace(*, hop_ns: int = 1000, wait_ns: int = 0, lost: bool = False) -> Trace:
    """Return a call of frontend to cart whose hops take `hop_ns` each.

    The pods take 10 us each before, between and behind, the application of these 4 us. `lost`: the request went once
    more, `wait_ns` after its first sending, which passed one hop.
    """
    hops = CHAINS[CART_SERVICE].hops
    first_ns = 1_000_010_000
    request_ns = first_ns + wait_ns
    arrived_ns = request_ns + hop_ns * len(hops)
    response_ns = arrived_ns + 10_000
    end_ns = response_ns + hop_ns * len(hops) + 10_000
    spans = [
        _make_span(1, 0, "GET cart", SpanKind.CLIENT, (1_000_000_000, end_ns), service="frontend", scope="shop"),
        _make_span(
            2, 1, "router", SpanKind.CLIENT, (1_000_005_000, end_ns - 1000), service="frontend", scope="envoy"
        ),
        _make_span(
            3, 2, "inbound", SpanKind.SERVER, (arrived_ns + 1000, response_ns - 1000), service="cart", scope="envoy"
        ),
        _make_span(
            4, 3, "GET /cart", SpanKind.SERVER, (arrived_ns + 3000, arrived_ns + 7000), service="cart", scope="shop"
        ),
    ]
    if lost:
        spans.append(_make_hop(5, hops[0], Direction.REQUEST, first_ns, hop_ns, node="node-1", attempt=1))
    for direction, start_ns in ((Direction.REQUEST, request_ns), (Direction.RESPONSE, response_ns)):
        attempt = 2 if lost and direction == Direction.REQUEST else 1
        for place, name in enumerate(hops):
            is_near = (place < 4) == (direction == Direction.REQUEST)
            at_ns, node = start_ns + place * hop_ns, "node-1" if is_near else "node-2"
            number = 10 + 10 * direction + place
            spans.append(_make_hop(number, name, direction, at_ns, hop_ns, node=node, attempt=attempt))
    (trace,) = group_traces(spans)
    return trace


def _make_span(
    number: int, parent: int, name: str, kind: SpanKind, times: tuple[int, int], *, service: str, scope: str
) -> Span:
    return Span(
        trace_id=TRACE_ID,
        span_id=number.to_bytes(8),
        parent_id=parent.to_bytes(8) if parent else b"",
        name=name,
        kind=kind,
        start_ns=times[0],
        end_ns=times[1],
        scope=scope,
        resource={"service.name": service},
    )


def _make_hop(
    number: int, name: str, direction: Direction, start_ns: int, duration_ns: int, *, node: str, attempt: int
) -> Span:
    attributes: dict[str, str | int] = {
        "hopspan.direction": direction.label,
        "hopspan.duration_ns": duration_ns,
        "hopspan.node": node,
    }
    if attempt > 1:
        attributes["hopspan.attempt"] = attempt
    return Span(
        trace_id=TRACE_ID,
        span_id=number.to_bytes(8),
        parent_id=(2).to_bytes(8),
        name=name,
        kind=SpanKind.INTERNAL,
        start_ns=start_ns,
        end_ns=start_ns + max(duration_ns - 1000, 1000),  # as the plugin shapes it, see docs/hops.md
        scope="hopspan",
        resource={"service.name": "frontend"},
        attributes=attributes,
    )
