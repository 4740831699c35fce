"""What is remembered of pairs of nodes, for how long, and what it takes."""

import tracemalloc

import pytest

from collector_plugin import clocks as clocks_module
from collector_plugin.clock_sightings import see_message
from collector_plugin.clocks import PAIR_TTL_NS, WORST_SPAN_NS, Clocks, ClockSource
from tests.collector_plugin.builders import FOREIGN_NODE, MS, NODE_2, SECOND, make_node
from tests.collector_plugin.clock_halves import see_request, see_response, take_in

PAIRS = 20
OURS = [
    tracemalloc.Filter(inclusive=True, filename_pattern=f"*/collector_plugin/clock_{name}.py")
    for name in ("bounds", "pairs")
]
"""Where what a pair keeps is made."""


def test_pairs_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that nothing passed between for longest is forgotten first, and has to be measured anew."""
    monkeypatch.setattr(clocks_module, "MAX_PAIRS", 3)
    clocks = Clocks()
    nodes = [make_node(f"node-{n}", clock_id=f"boot-{n}") for n in range(2, 6)]
    for node in nodes[:3]:
        take_in(clocks, see_request(node, 10, 110))
    take_in(clocks, see_response(nodes[0], 510, 610))
    take_in(clocks, see_request(nodes[3], 10, 110))
    assert (clocks.count_pairs(), clocks.evicted) == ((1, 2), 1)
    assert clocks.relate(see_message(*see_request(nodes[0], 900, 1_000))) is not None
    assert take_in(clocks, see_response(nodes[1], 510, 610)) is None
    assert clocks.evicted == 2


def test_pairs_that_nothing_passes_between_are_forgotten() -> None:
    """By then nothing that is known of them bounds anything; it is no loss, and not counted."""
    clocks = Clocks()
    take_in(clocks, see_request(FOREIGN_NODE, 10, 110), 5 * SECOND)
    clocks.expire(PAIR_TTL_NS)
    assert clocks.count_pairs() == (0, 1)
    clocks.expire(PAIR_TTL_NS + 5 * SECOND)
    assert (clocks.count_pairs(), clocks.evicted) == ((0, 0), 0)


def test_worst_uncertainty_is_that_of_late() -> None:
    """Of the last one to two minutes: what was once bad does not stay for ever."""
    clocks = Clocks()
    clocks.expire(WORST_SPAN_NS)
    take_in(clocks, see_request(FOREIGN_NODE, 10, 2_010))
    take_in(clocks, see_response(FOREIGN_NODE, 3_000, 5_000))
    assert 2 * MS < clocks.worst_uncertainty_ns < 2.01 * MS
    take_in(clocks, see_request(FOREIGN_NODE, 6_000, 6_010))
    clocks.expire(2 * WORST_SPAN_NS)
    assert clocks.worst_uncertainty_ns > 2 * MS
    clocks.expire(3 * WORST_SPAN_NS)
    assert clocks.worst_uncertainty_ns == 0


def test_thousand_pairs_have_their_size() -> None:
    """Each with all that a pair keeps: below 50 MB by far."""
    clocks = Clocks()
    tracemalloc.start()
    try:
        for number in range(PAIRS):
            far = make_node(f"node-{number:04}", clock_id=f"{number:036}")
            for at_us in range(0, 30_000_000, 100_000):
                take_in(clocks, see_request(far, at_us, at_us + 100))
                take_in(clocks, see_response(far, at_us + 500, at_us + 600))
        snapshot = tracemalloc.take_snapshot().filter_traces(OURS)
    finally:
        tracemalloc.stop()
    size_bytes = sum(trace.size for trace in snapshot.traces)
    assert clocks.count_pairs() == (PAIRS, 0)
    assert 7_000 < size_bytes / PAIRS < 12_000


def test_clones_stay_known_when_nothing_passes() -> None:
    """Else the next message would be taken for one of a single clock again."""
    clocks = Clocks()
    take_in(clocks, see_response(NODE_2, 3_000_510, 610))
    for day in range(1, 4):
        clocks.expire(day * 86_400 * SECOND)
    relation = take_in(clocks, see_request(NODE_2, 700, 3_000_800))
    assert relation is None or relation.source is ClockSource.MEASURED
