"""Made-up rounds by every way, and the answer to question 5 that they make."""

from evaluation.overlay_calls import HOST_GW, SAME_NODE, VXLAN, Call, name_hops
from evaluation.overlay_rounds import (
    FEW,
    KEPT,
    MANY,
    NEW,
    SILENT,
    WAYS,
    Key,
    Round,
    Run,
    compare_services,
    compare_ways,
    make_cases,
)
from evaluation.results import Results
from evaluation.results_overlay import OverlayResult, Passages
from tests.evaluation.samples import HEAD

ROUNDS = 3
REQUESTS = 5
HOP_US = {VXLAN: 30, HOST_GW: 20, SAME_NODE: 10}


def make_call(way: str, hop_us: float, before_us: float) -> Call:
    """Return a call whose hops all take the same."""
    hops = {name: round(hop_us * 1e3) for name in name_hops(way)}
    return Call(hops, 0, round(before_us * 1e3), sum(hops.values()) + round(before_us * 1e3))


def make_round(number: int, *, rules_us: float, missing: int = 0) -> Round:
    """Return a round that is slower than the one before; many services add `rules_us` before the request."""
    drift_us = 100 * number
    found = {}
    for services in (FEW, MANY):
        more_us = rules_us if services == MANY else 0
        for way in WAYS:
            call = make_call(way, HOP_US[way] + drift_us, 50 + drift_us + more_us)
            connect_ns = round((20 + drift_us + more_us) * 1e3)
            found[Key(way, services)] = Run([call] * (REQUESTS - missing), REQUESTS, [connect_ns] * REQUESTS)
    return found


def make_overlay(*, rules_us: float = 70, missing: int = 0) -> Results:
    """Return an answer in which rules cost new connections alone."""
    rounds = {
        connection: [make_round(number, rules_us=more_us, missing=missing) for number in range(ROUNDS)]
        for connection, more_us in ((KEPT, 0), (NEW, rules_us))
    }
    silent = [
        {key: run for key, run in one.items() if key.way != HOST_GW}
        for one in (make_round(number, rules_us=0) for number in range(ROUNDS))
    ]
    by_kind = rounds | {SILENT: silent}
    return Results(
        overlay=OverlayResult(
            head=HEAD,
            rounds=ROUNDS,
            requests_per_run=REQUESTS,
            rules="iptables v1",
            seconds=240.0,
            cases=tuple(case for name, some in by_kind.items() for case in make_cases(name, some)),
            by_services=tuple(one for name, some in by_kind.items() for one in compare_services(name, some)),
            by_way=tuple(one for name, some in rounds.items() for one in compare_ways(name, some)),
            passages=(Passages(VXLAN, 10, 63), Passages(HOST_GW, 10, 20), Passages(SAME_NODE, 10, 10)),
        )
    )
