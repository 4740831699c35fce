"""Made-up stamps of two clocks, and made-up answers to questions 2 and 3, with figures that are told apart."""

from collections.abc import Mapping, Sequence

from evaluation.clock_rounds import (
    BOTH,
    HOPSPAN,
    OFF,
    SHARES,
    TCPDUMP,
    ClockRound,
    compare_clocks,
    list_whole,
    time_hops,
)
from evaluation.results_clock import ClockResult, HopClocks, Missed, Observed, PointClocks
from evaluation.results_cost import Change, CostResult, ExchangeCost, HookCost, VariantCost
from evaluation.values import Estimate
from node_probe.transit import Direction, Point
from testbed.capture_file import MessageKey
from tests.evaluation.samples import HEAD

HOP_NS = 1000


def make_stamps(
    count: int = 3, *, hop_ns: int = HOP_NS, biases_ns: Mapping[Point, int] | None = None
) -> dict[MessageKey, dict[Point, int]]:
    """Return stamps of `count` exchanges, whose hops take `hop_ns`, each stamp late by the point's bias."""
    biases = biases_ns or {}
    return {
        MessageKey(40_000, int(direction), number): {
            point: 10**9 + 10**6 * number + hop_ns * point + biases.get(point, 0) for point in Point
        }
        for direction in Direction
        for number in range(count)
    }


def make_round(*, both_hop_ns: int = HOP_NS, biases_ns: Mapping[Point, int] | None = None) -> ClockRound:
    """Return a round in which hops take HOP_NS with one clock alone, and `both_hop_ns` with both."""
    alone = make_stamps()
    theirs = make_stamps(hop_ns=both_hop_ns)
    ours = make_stamps(hop_ns=both_hop_ns, biases_ns=biases_ns)
    times = time_hops(alone, list_whole(alone))
    latencies = {OFF: 300.0, HOPSPAN: 310.0, TCPDUMP: 340.0, BOTH: 345.0}
    return ClockRound(
        hopspan_alone=times,
        tcpdump_alone=times,
        both=compare_clocks(ours, theirs),
        latencies_us={state: {50.0: us, 99.0: 2 * us} for state, us in latencies.items()},
    )


def make_point(point: Point = Point.POD_EGRESS, bias_us: float = -0.5, **changes: object) -> PointClocks:
    """Return a point whose difference is beyond chance."""
    fields: dict[str, object] = {
        "point": point.label,
        "direction": "request",
        "is_leaving": "egress" in point.label,
        "is_first": False,
        "bias_us": Estimate(bias_us, bias_us - 0.1, bias_us + 0.1),
        "low_us": bias_us - 1,
        "high_us": bias_us + 1,
        "packets": 4321,
    }
    return PointClocks(**(fields | changes))  # type: ignore[arg-type]


def make_hop(**changes: object) -> HopClocks:
    """Return a hop to which tcpdump adds more than hopspan."""
    times = tuple(1 + share for share in SHARES)
    fields: dict[str, object] = {
        "hop": "veth-hop (request, node-1)",
        "hopspan": times,
        "tcpdump": times,
        "hopspan_alone": times,
        "tcpdump_alone": times,
        "difference_us": Estimate(0.61, 0.6, 0.62),
        "by_tcpdump_us": Estimate(0.91, 0.8, 1.0),
        "by_hopspan_us": Estimate(0.11, 0.0, 0.2),
    }
    return HopClocks(**(fields | changes))  # type: ignore[arg-type]


def make_clock(**changes: object) -> ClockResult:
    """Return an answer to question 2 with nothing against hopspan, unless the changes say otherwise."""
    fields: dict[str, object] = {
        "head": HEAD,
        "rounds": 21,
        "seconds_per_run": 2,
        "messages": 67_000,
        "incomplete": 0,
        "missed_rounds": 3,
        "seconds": 500.0,
        "shares": SHARES,
        "hops": (make_hop(),),
        "points": (make_point(), make_point(Point.POD_INGRESS, 1.25)),
        "observed": (Observed(50, Estimate(301, 290, 310), *[Estimate(12, -1, 20)] * 3),),
        "missed": (make_missed("hopspan", 0), make_missed("tcpdump", 3.25)),
    }
    return ClockResult(**(fields | changes))  # type: ignore[arg-type]


def make_missed(tool: str, percent: float) -> Missed:
    """Return what a tool missed at saturation."""
    return Missed(tool, "saturation", Estimate(20_000, 19_000, 21_000), Estimate(percent, percent, percent))


def make_change(percent: float = 0.5, value: float = 100.0) -> Change:
    """Return a figure that grew by some percent of its value, within a tenth of it."""
    low, high = sorted((0.9 * percent, 1.1 * percent))
    return Change(
        Estimate(value, value, value),
        Estimate(value * percent / 100, value * low / 100, value * high / 100),
        Estimate(percent, low, high),
    )


def make_variant(name: str, **changes: object) -> VariantCost:
    """Return a variant that costs nothing."""
    none = Change(Estimate(100, 90, 110), Estimate(0, -1, 1), Estimate(0, -1, 1))
    fields: dict[str, object] = {
        "name": name,
        "rate": none,
        "cpu_us": none,
        "p50_us": none,
        "p99_us": none,
        "p99_saturated_us": none,
        "own_us": Estimate(11, 10, 12),
        "peer_us": Estimate(6, 5, 7),
        "own_cpu_percent": Estimate(3, 2, 4),
        "own_rss_mib": Estimate(40, 39, 41),
        "lost_percent": Estimate(0, 0, 0),
    }
    return VariantCost(**(fields | changes))  # type: ignore[arg-type]


def make_cost(variants: Sequence[VariantCost] = (), **changes: object) -> CostResult:
    """Return an answer to question 3 with these variants beside tcpdump."""
    some = Estimate(100, 90, 110)
    fields: dict[str, object] = {
        "head": HEAD,
        "rounds": 11,
        "seconds_per_run": 3,
        "hook_rounds": 5,
        "seconds": 600.0,
        "steady_rate": Estimate(2400, 2390, 2410),
        "off_rate": Estimate(30_000, 29_000, 31_000),
        "off_cpu_us": some,
        "off_p50_us": some,
        "off_p99_us": some,
        "off_p99_saturated_us": some,
        "variants": (*(variants or (make_variant("hopspan, 1 %"),)), make_variant("tcpdump")),
        "hooks": (HookCost("pod_egress", 1, Estimate(321, 300, 340)), HookCost("pod_egress", 100, some)),
        "exchanges": (ExchangeCost(1, Estimate(4567, 4500, 4600)), ExchangeCost(100, some)),
    }
    return CostResult(**(fields | changes))  # type: ignore[arg-type]
