"""Two clocks' stamps of the same packets tell their difference, and what one adds to what the other measures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.clock_rounds import (
    HOPS,
    MissedRun,
    Place,
    compare_clocks,
    judge_hops,
    judge_latencies,
    judge_missed,
    judge_points,
    name_hop,
    time_hops,
)
from evaluation.results_clock import HopClocks
from evaluation.values import Estimate
from node_probe.transit import Direction, Point
from testbed.capture_file import MessageKey
from tests.evaluation.samples_clock import HOP_NS, make_round, make_stamps

LATE = {Point.VETH_INGRESS: 300}
ROUNDS = 3


def find_hop(hops: tuple[HopClocks, ...], name: str) -> HopClocks:
    """Return the hop of that name."""
    (hop,) = (hop for hop in hops if hop.hop == name)
    return hop


def test_hops_are_the_times_between_points() -> None:
    """Seven hops of each message, in the order of the points."""
    key = MessageKey(1, int(Direction.REQUEST), 7)
    met = dict(zip(Point, (0, 1, 3, 6, 10, 15, 21, 28), strict=True))
    times = time_hops({key: met}, [key])
    assert [times[Place(Direction.REQUEST, number)] for number in range(len(HOPS))] == [[n] for n in range(1, 8)]


@given(st.dictionaries(st.sampled_from(Point), st.integers(-5000, 5000)))
def test_bias_of_a_point_is_found(biases_ns: dict[Point, int]) -> None:
    """Whatever a clock is late by at a point is the difference there, in both directions, and there alone."""
    same = compare_clocks(make_stamps(biases_ns=biases_ns), make_stamps())
    for direction in Direction:
        for point in Point:
            assert set(same.differences[Place(direction, point)]) == {biases_ns.get(point, 0)}


def test_late_point_lengthens_one_hop_and_shortens_the_next() -> None:
    """The border between two hops lies elsewhere: their sum is the same."""
    hops = judge_hops([make_round(biases_ns=LATE)] * ROUNDS)
    assert find_hop(hops, "veth-hop (request, node-1)").difference_us == Estimate(0.3, 0.3, 0.3)
    assert find_hop(hops, "host-forward (request, node-1)").difference_us == Estimate(-0.3, -0.3, -0.3)
    assert find_hop(hops, "underlay (request, node-1)").difference_us == Estimate(0, 0, 0)


def test_what_the_other_clock_adds_is_the_growth_beside_alone() -> None:
    """Hops of 1 us that take 1.5 us when both clocks are there."""
    for hop in judge_hops([make_round(both_hop_ns=HOP_NS + 500)] * ROUNDS):
        assert hop.by_tcpdump_us == hop.by_hopspan_us == Estimate(0.5, 0.5, 0.5)
        assert (set(hop.hopspan), set(hop.hopspan_alone)) == ({1.5}, {1.0})


def test_messages_that_one_clock_missed_are_left_out_and_counted() -> None:
    """Only the same packets are compared."""
    ours, theirs = make_stamps(5), make_stamps(5)
    lost, cut = MessageKey(40_000, 0, 1), MessageKey(40_000, 1, 2)
    del theirs[lost]
    del ours[cut][Point.NIC_INGRESS]
    same = compare_clocks(ours, theirs)
    assert (same.count, same.incomplete) == (8, 2)
    assert len(same.hopspan[Place(Direction.REQUEST, 0)]) == len(same.tcpdump[Place(Direction.REQUEST, 0)]) == 4


def test_points_say_which_way_the_packet_goes() -> None:
    """Sixteen: eight a direction, half of them leaving, a first one on each node."""
    points = judge_points([make_round(biases_ns=LATE)] * ROUNDS)
    assert len(points) == 16
    assert sum(point.is_leaving for point in points) == 8
    assert {point.point for point in points if point.is_first} == {"pod-egress", "nic-ingress"}
    (late,) = (point for point in points if (point.point, point.direction) == ("veth-ingress", "response"))
    assert (late.bias_us.median, late.low_us, late.high_us, late.packets) == (0.3, 0.3, 0.3, 9)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Place(Direction.REQUEST, 0), "veth-hop (request, node-1)"),
        (Place(Direction.REQUEST, 3), "underlay (request, node-1)"),
        (Place(Direction.REQUEST, 4), "vxlan-decap (request, node-2)"),
        (Place(Direction.RESPONSE, 0), "veth-hop (response, node-2)"),
        (Place(Direction.RESPONSE, 3), "underlay (response, node-2)"),
        (Place(Direction.RESPONSE, 6), "veth-hop (response, node-1)"),
    ],
)
def test_hops_are_called_as_in_traces(place: Place, name: str) -> None:
    """By hop, direction and the node where they begin."""
    assert name_hop(place) == name


def test_clients_clock_tells_what_each_adds() -> None:
    """End to end, against the runs without either."""
    half, tail = judge_latencies([make_round()] * ROUNDS)
    added = [estimate.median for estimate in (half.by_hopspan_us, half.by_tcpdump_us, half.by_both_us)]
    assert (half.percent, half.off_us.median, added) == (50, 300, [10, 40, 45])
    assert (tail.percent, tail.by_tcpdump_us.median) == (99, 80)


def test_missed_is_told_by_tool_and_load() -> None:
    """The median over the rounds of each."""
    shares = {"hopspan": (0.0, 0.5, 1.0), "tcpdump": (5.0, 5.0, 8.0)}
    runs = [MissedRun(tool, "full", 1000, share) for tool, some in shares.items() for share in some]
    assert [(one.tool, one.percent.median) for one in judge_missed(runs)] == [("hopspan", 0.5), ("tcpdump", 5)]
