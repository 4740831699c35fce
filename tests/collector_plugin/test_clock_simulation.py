"""Two simulated clocks: the truth always lies within what is published, and no packet arrives before it left."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector_plugin.clocks import ClockRelation, Clocks, ClockSource
from collector_plugin.hops import give_account, list_wire
from collector_plugin.reasons import ClockReason
from tests.collector_plugin.builders import MS, REQUEST, SECOND, US
from tests.collector_plugin.clock_story import (
    Passage,
    SimulatedNode,
    Wire,
    cross_wire,
    draw_times,
    exchange,
    heavy,
    jittery,
    make_nodes,
    queued,
    steady,
)

HOUR = 3600 * SECOND
OFFSETS = st.one_of(
    st.integers(-10 * HOUR, 10 * HOUR), st.integers(-50 * MS, 50 * MS), st.sampled_from([0, -10 * HOUR, 10 * HOUR])
)
RATES = st.one_of(st.integers(-100_000, 100_000), st.sampled_from([-100_000, 0, 100_000]))
BASES = st.sampled_from([2 * US, 60 * US, 900 * US, 40 * MS])
WIRES = st.one_of(
    st.builds(steady, BASES),
    st.builds(jittery, BASES, st.sampled_from([5 * US, 200 * US]), st.sampled_from([0, 20 * MS])),
    st.builds(heavy, BASES, st.sampled_from([3 * US, 300 * US])),
    st.builds(queued, BASES, st.sampled_from([20 * US, 2 * MS])),
)
WAYS = st.tuples(WIRES, WIRES)
PACES = st.sampled_from([(0.02, 0), (1.0, 1_000 * SECOND), (10.0, 0), (10.0, 90 * SECOND), (2_000.0, 0)])
"""Exchanges a second, and the longest gap between two bursts of them."""


def check(passage: Passage, relation: ClockRelation | None) -> int:
    """Check a relation against the truth; return by how much it is off, in ns."""
    assert relation is not None
    errors = [abs(relation.theta_ns - theta_ns) for theta_ns in passage.thetas_ns]
    assert max(errors) <= relation.uncertainty_ns
    near = give_account(passage.near, 0)
    ((start_ns, stop_ns, *_),) = list_wire(near, give_account(passage.far, -relation.theta_ns))
    assert stop_ns >= start_ns
    return max(errors)


def play(
    nodes: tuple[SimulatedNode, SimulatedNode], wires: tuple[Wire, Wire], pace: tuple[float, int], seed: int
) -> int:
    """Let exchanges of either node's clients pass, and arrive in disorder; return how many messages were checked.

    Each is related when the plugin hears of it, and again some exchanges later, as when its parent comes late.
    """
    rng = random.Random(seed)  # noqa: S311 - the same story every time
    clocks = Clocks()
    arrived: list[Passage] = []
    related = 0
    for number, at_ns in enumerate(draw_times(rng, pace[0], 10 * HOUR, pace[1])):
        pair = nodes if rng.random() < 2 / 3 else nodes[::-1]
        arrived += exchange(*pair, at_ns, wires, rng)
        if rng.random() < 0.2:
            # A packet that is lost is stamped where it left, and sent again: nothing passed.
            arrived.pop(rng.randrange(len(arrived)))
        if len(arrived) < 20:
            continue
        rng.shuffle(arrived)
        for passage in arrived:
            clocks.observe(passage.see(), 0)
            relation = clocks.relate(passage.see())
            if relation is not None:
                check(passage, relation)
        for passage in arrived:
            check(passage, clocks.relate(passage.see()))
        related += len(arrived)
        arrived = []
        if number > 150:
            break
    assert clocks.contradictions == dict.fromkeys(ClockReason, 0)
    return related


@settings(max_examples=150, deadline=None)
@example(0, -99_666, (steady(2 * US), queued(40 * MS, 2 * MS)), (0.02, 0), 0)
@given(OFFSETS, RATES, WAYS, PACES, st.integers(0, 1 << 32))
def test_truth_lies_within_what_is_published(
    offset_ns: int, rate_ppb: int, ways: tuple[Wire, Wire], pace: tuple[float, int], seed: int
) -> None:
    """Whatever the offset, a steady drift, ways that differ, delays, bursts, gaps and the order of arrival."""
    assert play(make_nodes(offset_ns, ((0, rate_ppb),)), ways, pace, seed) > 100


@settings(max_examples=100, deadline=None)
@given(
    OFFSETS,
    st.lists(st.tuples(st.integers(0, 600 * SECOND), RATES), min_size=1, max_size=30),
    WAYS,
    PACES,
    st.integers(0, 1 << 32),
)
def test_truth_lies_within_what_is_published_though_the_drift_changes(
    offset_ns: int, rates: list[tuple[int, int]], ways: tuple[Wire, Wire], pace: tuple[float, int], seed: int
) -> None:
    """As NTP makes it do: the line that is fitted is wrong then, and the bounds are not."""
    rates_ppb = ((0, 0), *sorted(dict(rates).items()))
    assert play(make_nodes(offset_ns, rates_ppb), ways, pace, seed) > 100


@settings(max_examples=60, deadline=None)
@given(OFFSETS, RATES, WAYS, st.integers(0, 1 << 32))
def test_cloned_machines_are_told_from_one_clock(
    offset_ns: int, rate_ppb: int, ways: tuple[Wire, Wire], seed: int
) -> None:
    """Under one clock id, wall clocks right: nothing false is published, whether or not a message proves it."""
    nodes = make_nodes(offset_ns, ((0, rate_ppb),), ids=("boot-a", "boot-a"))
    rng = random.Random(seed)  # noqa: S311 - the same story every time
    clocks = Clocks()
    for at_ns in draw_times(rng, 10.0, 20 * SECOND):
        for passage in exchange(*nodes, at_ns, ways, rng):
            clocks.observe(passage.see(), 0)
            relation = clocks.relate(passage.see())
            if relation is None:
                continue
            if relation.source is ClockSource.SAME:
                # Less than two readings of one clock may differ by.
                assert abs(passage.thetas_ns[0]) <= 25 * US
            else:
                check(passage, relation)
    assert clocks.contradictions[ClockReason.STEPPED] == 0


def test_node_that_reboots_is_measured_anew() -> None:
    """Its clock begins at 0 under another id; the truth lies within what is published before and after."""
    rng = random.Random(5)  # noqa: S311 - the same story every time
    wires = jittery(60 * US, 20 * US), jittery(300 * US, 20 * US)
    clocks = Clocks()
    related = 0
    for boot in range(4):
        _, node = make_nodes(-20 * HOUR + boot * SECOND, ((0, boot * 30_000),), ids=("boot-a", f"boot-{boot}"))
        near, _ = make_nodes()
        for at_ns in draw_times(rng, 10.0, 10 * SECOND):
            for passage in exchange(near, node, boot * 10 * SECOND + at_ns, wires, rng):
                clocks.observe(passage.see(), 0)
                relation = clocks.relate(passage.see())
                if relation is not None:
                    related += 1
                    check(passage, relation)
    assert related > 700
    assert clocks.count_pairs() == (4, 0)


def test_sending_that_is_lost_is_not_paired_with_the_next() -> None:
    """A retransmission has a timestamp of its own: only what arrived of it bounds anything, and by its own time."""
    nodes = make_nodes(70 * SECOND, ((0, 0),))
    clocks = Clocks()
    first = cross_wire(*nodes, REQUEST, 7, (SECOND, SECOND + 100 * US))
    second = cross_wire(*nodes, REQUEST, 7, (SECOND + 200 * MS, SECOND + 200 * MS + 100 * US))
    assert first.near.raw.decode().tsval != second.near.raw.decode().tsval
    for passage in exchange(*nodes, 2 * SECOND, (steady(100 * US), steady(100 * US)), random.Random(1)):  # noqa: S311
        clocks.observe(passage.see(), 0)
    clocks.observe(second.see(), 0)
    relation = clocks.relate(second.see())
    assert check(second, relation) < 60 * US


STEADY = [((0, rate_ppb),) for rate_ppb in (0, 12_000, -100_000, 100_000)]
RAMP = tuple((second * SECOND, second * 333) for second in range(60))
"""A drift that changes by 20 ppm in a minute."""


@pytest.mark.parametrize("rates_ppb", [*STEADY, RAMP], ids=[*(f"{rates[0][1]} ppb" for rates in STEADY), "ramp"])
def test_error_is_small_after_half_a_minute(rates_ppb: tuple[tuple[int, int], ...]) -> None:
    """From the 30th second on it is below 10 us for 99 of 100 messages, at ten exchanges a second.

    Both ways are alike: 60 us, an exponential delay of 20 us on average, and for one packet in fifty one of 500 us.
    """
    wire = jittery(60 * US, 20 * US, 500 * US)
    errors: list[int] = []
    for seed in range(5):
        rng = random.Random(seed)  # noqa: S311 - the same story every time
        nodes = make_nodes(3 * HOUR, rates_ppb)
        clocks = Clocks()
        for at_ns in draw_times(rng, 10.0, 60 * SECOND):
            for passage in exchange(*nodes, at_ns, (wire, wire), rng):
                clocks.observe(passage.see(), 0)
                relation = clocks.relate(passage.see())
                if at_ns >= 30 * SECOND:
                    errors.append(check(passage, relation))
    assert sorted(errors)[len(errors) * 99 // 100] <= 10 * US
