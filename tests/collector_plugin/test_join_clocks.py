"""Messages between nodes with two clocks: held until one passes back, placed by what is known, and never lost."""

import pytest

from collector_plugin import clock_holds
from collector_plugin.reasons import ClockReason, ForgetReason, HopReason, TransitReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from node_probe.transit import Transit
from tests.collector_plugin.builders import (
    EPOCH_NS,
    FOREIGN_NODE,
    MS,
    NODE_1,
    NODE_2,
    OFFSET_NS,
    RESPONSE,
    SECOND,
    TRACE_ID,
    US,
    make_batch,
    make_transit,
)
from tests.collector_plugin.join_story import FAR, FAR_HOPS, NEAR, NEAR_HOPS, WIRE, Story, list_names

BACK_FAR = make_transit({2: 2000, 3: 2010, 4: 2020}, direction=RESPONSE, seq=9)
BACK_NEAR = make_transit({5: 2120, 6: 2130, 7: 2140}, direction=RESPONSE, seq=9)
BACK_FAR_HOPS, BACK_NEAR_HOPS = NEAR_HOPS, FAR_HOPS
"""The response's far node is its sender."""


def test_request_is_held_until_its_response_relates_the_clocks() -> None:
    """A message of each direction is all it takes; what was held comes out with it, at that moment."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    assert story.see(1, FOREIGN_NODE, FAR) == NEAR_HOPS
    assert len(story.join.held) == 1
    assert story.see(30, FOREIGN_NODE, BACK_FAR) == []
    assert sorted(story.see(31, NODE_1, BACK_NEAR)) == sorted(BACK_FAR_HOPS + WIRE + BACK_NEAR_HOPS + WIRE + FAR_HOPS)
    assert len(story.join.held) == 0
    assert (story.released, story.dropped) == ({}, {})
    assert story.join.joined == 4


def test_exchange_of_another_parent_relates_the_clocks_as_well() -> None:
    """Bounds are of the nodes, not of the exchange: a service called in the other direction does too."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    story.see(0, FOREIGN_NODE, FAR)
    other = b"\x05" * 8
    story.see_parent(1, (TRACE_ID + other, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS))
    story.see(1, FOREIGN_NODE, make_transit({2: 1500, 3: 1510, 4: 1520}, parent_id=other, seq=5))
    names = story.see(2, NODE_1, make_transit({5: 1600, 6: 1610, 7: 1620}, parent_id=other, seq=5))
    assert sorted(names) == sorted(NEAR_HOPS + 2 * (WIRE + FAR_HOPS))


def test_measured_hops_say_by_how_much_and_how_surely() -> None:
    """On the wire and on every hop of the far node: the far wall clock minus the near one, and the uncertainty."""
    story = Story()
    story.see_parent(0)
    ahead_us, wall_ns = 7_000_000, OFFSET_NS - 6 * SECOND
    story.join.add_batch(make_batch(NODE_1, NEAR), 0)
    story.join.add_batch(make_batch(NODE_1, BACK_NEAR), 0)
    shifted = [shift(FAR, ahead_us), shift(BACK_FAR, ahead_us)]
    story.join.add_batch(make_batch(FOREIGN_NODE, *shifted, offset_ns=wall_ns), 0)
    spans = [span for emission in story.join.take_due(0) for span in emission.spans]
    told = [dict(span.attributes) for span in spans]
    assert len(told) == 10
    for attributes in told:
        if attributes["hopspan.node"] == "node-1" and attributes["hopspan.from"] != "nic-egress":
            assert "hopspan.clock.source" not in attributes
            continue
        assert attributes["hopspan.clock.source"] == "measured"
        offset_ns, uncertainty_ns = attributes["hopspan.clock.offset_ns"], attributes["hopspan.clock.uncertainty_ns"]
        assert isinstance(offset_ns, int)
        assert abs(offset_ns - SECOND) < US
        assert isinstance(uncertainty_ns, int)
        assert 100 * US <= uncertainty_ns < 101 * US
    wires = [span for span in spans if span.name == "underlay"]
    assert [EPOCH_NS < span.start_ns < EPOCH_NS + 3 * MS for span in wires] == [True, True]


def shift(transit: Transit, by_us: int) -> Transit:
    """Return the transit as a clock that is ahead stamps it."""
    points = {stamp.point: (stamp.monotonic_ns - (EPOCH_NS - OFFSET_NS)) // US + by_us for stamp in transit.stamps}
    return make_transit({int(p): us for p, us in points.items()}, direction=transit.direction, seq=transit.seq)


def pass_by(story: Story, at_s: float, begin_us: int, seq: int, *, answered: bool = True) -> list[str]:
    """Let a request pass between the two nodes `begin_us` after the story's first moment, and its response."""
    near = [make_transit({3: begin_us, 4: begin_us + 10}, seq=seq)]
    far = [make_transit({5: begin_us + 110, 6: begin_us + 120}, seq=seq)]
    if answered:
        far.append(make_transit({3: begin_us + 200, 4: begin_us + 210}, seq=seq, direction=RESPONSE))
        near.append(make_transit({5: begin_us + 310, 6: begin_us + 320}, seq=seq, direction=RESPONSE))
    return story.see(at_s, NODE_1, *near) + story.see(at_s, FOREIGN_NODE, *far)


def test_bound_that_is_old_gets_time_to_be_a_better_one() -> None:
    """After a pause the drift is unknown; what passes back tells more than what passed before, if it comes soon."""
    story = Story()
    story.see_parent(0)
    pass_by(story, 0, 0, 1)
    assert pass_by(story, 60, 60_000_000, 2, answered=False) == ["vxlan-encap"]
    assert story.look(61.9) == []
    assert story.look(62) == ["underlay", "vxlan-decap"]
    assert pass_by(story, 120, 120_000_000, 3, answered=False) == ["vxlan-encap"]
    assert len(story.join.held) == 1
    assert sorted(pass_by(story, 121, 120_001_000, 4)) == sorted(
        3 * ["underlay", "vxlan-decap"] + 2 * ["vxlan-encap"]
    )
    assert (story.released, story.dropped) == ({}, {})


def test_held_message_that_nothing_passes_back_to_is_dropped_after_a_window() -> None:
    """Its far transit and hops are counted, the wire too; it is held no longer."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    story.see(1, FOREIGN_NODE, FAR)
    assert story.look(60.9) == []
    assert len(story.join.held) == 1
    story.look(61)
    assert len(story.join.held) == 0
    assert story.released == {TransitReason.CLOCK: 1}
    assert story.dropped == {HopReason.CLOCK: len(WIRE + FAR_HOPS)}
    story.see(62, FOREIGN_NODE, BACK_FAR)
    assert sorted(story.see(62, NODE_1, BACK_NEAR)) == sorted(BACK_FAR_HOPS + WIRE + BACK_NEAR_HOPS)


def test_held_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes, counted: a far node that never answers cannot fill the memory."""
    monkeypatch.setattr(clock_holds, "MAX_HELD", 5)
    story = Story()
    story.see_parent(0)
    for seq in range(7):
        pass_by(story, 0, 1000 * seq, seq, answered=False)
    assert len(story.join.held) == 5
    assert story.released == {TransitReason.CLOCK: 2}
    assert story.dropped == {HopReason.CLOCK: 2 * 2}
    assert story.join.waiting_count == 5


def test_end_hands_out_what_waited_for_a_better_bound() -> None:
    """An old bound is better than none when there is no more time."""
    story = Story()
    story.see_parent(0)
    pass_by(story, 0, 0, 1)
    pass_by(story, 60, 60_000_000, 2, answered=False)
    assert list_names(story.join.close(60 * SECOND)) == ["underlay", "vxlan-decap"]
    assert (story.released, story.dropped) == ({}, {})


def test_clones_are_counted_and_measured() -> None:
    """Two nodes under one clock id: a response that arrives before it left tells, and the next request is placed."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, BACK_NEAR, NEAR)
    story.see(0, NODE_2, shift(BACK_FAR, 3_000_000))
    assert len(story.join.held) == 1
    assert sorted(story.see(1, NODE_2, shift(FAR, 3_000_000))) == sorted(
        NEAR_HOPS + 2 * WIRE + FAR_HOPS + BACK_FAR_HOPS
    )
    assert len(story.join.held) == 0
    assert story.join.clocks.contradictions[ClockReason.CLONED_ID] == 1
    assert story.join.forgotten[ForgetReason.PAIR_EVICTED] == 0
