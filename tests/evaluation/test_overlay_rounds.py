"""Calls by each way are divided into the hops of that way, and compared within their rounds."""

import pytest

from evaluation.overlay_calls import CHAINS, HOST_GW, SAME_NODE, VXLAN, name_hops, read_call
from evaluation.overlay_rounds import (
    BEFORE,
    CALL,
    CONNECT,
    FEW,
    KEPT,
    MANY,
    NETWORK,
    NEW,
    WAYS,
    Key,
    compare_services,
    compare_ways,
    make_cases,
    merge_runs,
)
from evaluation.results_overlay import find_time
from evaluation.values import Estimate
from testbed.topology import CART_SERVICE, CATALOG_SERVICE
from tests.evaluation.samples import make_trace
from tests.evaluation.samples_overlay import REQUESTS, ROUNDS, make_round

UNDERLAY = "underlay, request"


def test_hops_of_all_ways_have_names_of_their_own() -> None:
    """A hop that occurs on both sides says of which it is; a way without a tunnel has the names of one with it."""
    for way, chain in CHAINS.items():
        assert len(set(name_hops(way))) == 2 * len(chain)
    assert set(name_hops(HOST_GW)) < set(name_hops(VXLAN))
    assert name_hops(SAME_NODE)[:3] == [
        "veth-hop (sender), request",
        "host-forward, request",
        "veth-hop (receiver), request",
    ]


def test_call_is_read_by_the_way_that_it_went() -> None:
    """A trace shows the way's hops, or it is no call by that way."""
    trace = make_trace(hop_ns=1500)
    call = read_call(trace, VXLAN, CART_SERVICE)
    assert call is not None
    assert set(call.hops.values()) == {1500}
    assert (call.before_ns, call.duration_ns) == (10_000, 14 * 1500 + 30_000)
    assert read_call(trace, HOST_GW, CART_SERVICE) is None
    assert read_call(trace, VXLAN, CATALOG_SERVICE) is None
    assert read_call(make_trace(wait_ns=200_000_000, lost=True), VXLAN, CART_SERVICE) is None


def test_rules_are_told_from_what_drifts() -> None:
    """Rounds drift by 100 us each; 70 us of rules before the request are exactly that, and in no hop."""
    rounds = [make_round(number, rules_us=70) for number in range(ROUNDS)]
    more = {(one.second, one.what): one.more_us for one in compare_services(NEW, rounds)}
    sure, nothing = Estimate(70, 70, 70), Estimate(0, 0, 0)
    for way in WAYS:
        assert [more[way, what] for what in (NETWORK, BEFORE, CONNECT, CALL)] == [nothing, sure, sure, sure]


def test_each_way_is_compared_with_the_next_simpler_one() -> None:
    """VXLAN's 14 hops of 30 us against host-gw's 10 of 20, and these against 6 of 10, whatever a round adds."""
    rounds = [make_round(number, rules_us=0) for number in (0, 0)]
    found = {(one.first, one.second): one.more_us.median for one in compare_ways(KEPT, rounds) if one.what == NETWORK}
    assert found == {(SAME_NODE, HOST_GW): 200 - 60, (HOST_GW, VXLAN): 420 - 200}


def test_case_has_every_hop_and_what_was_left_out() -> None:
    """The median over rounds, and calls without all their hops counted."""
    rounds = [make_round(number, rules_us=0, missing=1) for number in range(ROUNDS)]
    cases = {(case.way, case.services): case for case in make_cases(KEPT, rounds)}
    assert set(cases) == {(way, services) for way in WAYS for services in (FEW, MANY)}
    case = cases[VXLAN, FEW]
    assert [part.name for part in case.parts] == name_hops(VXLAN)
    assert (case.calls, case.incomplete) == (ROUNDS * REQUESTS, ROUNDS)
    assert find_time(case, UNDERLAY) == Estimate(130, 30, 230)
    assert find_time(cases[SAME_NODE, FEW], UNDERLAY) is None
    assert find_time(cases[SAME_NODE, FEW], "host-forward (sender), request") == Estimate(110, 10, 210)


@pytest.mark.parametrize("way", WAYS)
def test_both_runs_of_a_way_in_a_round_count(way: str) -> None:
    """The same node is asked beside VXLAN and beside host-gw."""
    one, other = (make_round(number, rules_us=0)[Key(way, FEW)] for number in (0, 1))
    both = merge_runs(one, other)
    assert (len(both.calls), both.made, len(both.connects_ns)) == (2 * REQUESTS, 2 * REQUESTS, 2 * REQUESTS)
