"""The join's window as stories: half, other half, late, expired, drained. The clock is an integer."""

from collector_plugin.network_span import Emission
from collector_plugin.reasons import HopReason, TransitReason
from node_probe.wire_record import RecordError, RecordVersionError
from tests.collector_plugin.builders import (
    EPOCH_NS,
    FOREIGN_NODE,
    MS,
    NODE_1,
    NODE_2,
    OFFSET_NS,
    PARENT_KEY,
    RESPONSE,
    SECOND,
    make_batch,
    make_node,
    make_transit,
)
from tests.collector_plugin.join_story import (
    FAR,
    FAR_HOPS,
    NEAR,
    NEAR_HOPS,
    PARENT,
    PASSING,
    WHOLE,
    WIRE,
    Story,
    list_names,
)


def test_both_halves_and_their_parent_are_emitted_at_once() -> None:
    """Nothing waits once all is there, whatever came first."""
    story = Story()
    assert story.see(0, NODE_1, NEAR) == []
    assert story.see(1, NODE_2, FAR) == []
    assert story.see_parent(2) == NEAR_HOPS + WIRE + FAR_HOPS
    story = Story()
    assert story.see_parent(0) == []
    assert story.see(1, NODE_2, FAR) == []
    assert story.see(2, NODE_1, NEAR) == NEAR_HOPS + WIRE + FAR_HOPS
    assert story.join.joined == story.join.received == 2


def test_message_that_stays_on_its_node_waits_for_its_parent_alone() -> None:
    """No counterpart can come, so none is waited for."""
    story = Story()
    assert story.see(0, NODE_1, WHOLE) == []
    assert story.see_parent(1) == ["host-forward"]
    assert story.see(2, NODE_1, make_transit({2: 0, 7: 5}, direction=RESPONSE, seq=9)) == ["host-forward"]


def test_halves_wait_for_each_other_from_the_parent_on() -> None:
    """Settle begins when both the parent and the first half are there."""
    story = Story()
    assert story.see(0, NODE_1, NEAR) == []
    assert story.see_parent(10) == []
    assert story.look(11.99) == []
    assert story.look(12) == NEAR_HOPS
    assert story.see(50, NODE_2, FAR) == WIRE + FAR_HOPS


def test_late_near_half_adds_its_hops_and_the_wire() -> None:
    """A far half alone is placed by its own clock; its counterpart does not repeat it."""
    story = Story()
    story.see_parent(0)
    assert story.see(0, NODE_2, FAR) == []
    assert story.look(2) == FAR_HOPS
    assert story.see(5, NODE_1, NEAR) == NEAR_HOPS + WIRE
    assert story.join.joined == 2


def test_emitted_half_is_remembered_for_a_window() -> None:
    """A counterpart that comes later than that is a message of its own: its parent may be known still."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    assert story.look(2) == NEAR_HOPS
    assert story.look(61.9) == []
    assert story.join.messages.remembered_count == 1
    assert story.look(62) == []
    assert story.join.messages.remembered_count == 0


def test_transit_without_parent_waits_for_a_window_and_not_longer() -> None:
    """The window begins with the first half."""
    story = Story()
    story.see(0, NODE_1, NEAR)
    story.see(30, NODE_2, FAR)
    story.look(59.99)
    assert story.released == {}
    story.look(60)
    assert story.released == {TransitReason.NO_PARENT: 2}
    assert story.see_parent(61) == []
    assert story.join.messages.waiting_count == 0


def test_parent_at_the_last_moment_still_gives_its_halves_time() -> None:
    """A message whose parent came is no longer in danger of the window."""
    story = Story()
    story.see(0, NODE_1, NEAR)
    story.see_parent(59.9)
    assert story.look(61.9) == NEAR_HOPS
    assert story.released == {}


def test_other_clock_is_held_for_a_window_and_dropped() -> None:
    """The near half is shown; the far half and the wire wait for what this version does not have."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    assert story.see(1, FOREIGN_NODE, FAR) == NEAR_HOPS
    assert story.look(60.9) == []
    assert story.join.messages.waiting_count == 1
    assert story.look(61) == []
    assert story.released == {TransitReason.CLOCK: 1}
    assert story.dropped == {HopReason.CLOCK: len(WIRE + FAR_HOPS)}


def test_wire_alone_is_dropped_where_the_far_half_was_shown_already() -> None:
    """A far half that was placed by its own clock is not taken back when a near one of another clock comes."""
    story = Story()
    story.see_parent(0)
    story.see(0, FOREIGN_NODE, FAR)
    assert story.look(2) == FAR_HOPS
    assert story.see(3, NODE_1, NEAR) == NEAR_HOPS
    assert story.look(63) == []
    assert story.released == {}
    assert story.dropped == {HopReason.CLOCK: 1}


def test_far_half_alone_is_shown_only_where_it_lies_inside_the_parent() -> None:
    """A far wall clock that is off would move hops out of their parent; they are dropped, not cut."""
    story = Story()
    story.see_parent(0)
    story.join.add_batch(make_batch(NODE_2, FAR, offset_ns=OFFSET_NS - 60 * SECOND), 0)
    assert story.look(2) == []
    assert story.dropped == {HopReason.CLOCK: 2}
    assert story.join.joined == 1


def test_node_reports_a_packet_once() -> None:
    """A resent batch is counted and changes nothing, before and after the emission, for whole messages too."""
    story = Story()
    story.see(0, NODE_1, NEAR, WHOLE)
    story.see(1, NODE_1, NEAR)
    story.see_parent(2)
    story.look(4)
    story.see(5, NODE_1, NEAR)
    story.see(6, NODE_2, FAR)
    assert story.see(7, NODE_2, FAR) == []
    # WHOLE has the message key of NEAR, and the same node had reported that.
    assert story.released == {TransitReason.DUPLICATE: 4}


def test_third_node_has_no_place_in_a_message() -> None:
    """A half that another node reported already is a conflict, as is a counterpart of a whole message."""
    story = Story()
    story.see(0, NODE_1, NEAR)
    story.see(0, make_node("node-3"), NEAR)
    story.see_parent(1)
    assert story.released == {TransitReason.CONFLICT: 1}
    story = Story()
    story.see_parent(0)
    assert story.see(0, NODE_1, WHOLE) == ["host-forward"]
    story.see(0, NODE_2, FAR)
    story.see(0, NODE_1, FAR)
    assert story.released == {TransitReason.CONFLICT: 1, TransitReason.DUPLICATE: 1}
    story = Story()
    story.see(0, NODE_2, FAR)
    story.see(0, NODE_1, WHOLE)
    story.see_parent(1)
    assert story.released == {TransitReason.CONFLICT: 1}


def test_packet_that_only_passed_through_is_counted() -> None:
    """A node between two others has no place in a message yet."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, PASSING)
    assert story.released == {TransitReason.PASSING: 1}


def test_unreadable_records_are_counted_by_kind() -> None:
    """A record of a later version tells of a newer probe; any other is malformed, as are times that none has."""
    story = Story()
    batch = make_batch(NODE_1)
    errors = (RecordVersionError("2"), RecordError("cut"), RecordError("cut"))
    story.join.add_batch(type(batch)(batch.node, 0, {}, (), errors), 0)
    story.join.add_batch(make_batch(NODE_1, NEAR, offset_ns=-(2**63)), 0)
    story.join.add_unreadable(23, TransitReason.MALFORMED)
    assert story.released == {TransitReason.VERSION: 1, TransitReason.MALFORMED: 26}
    assert story.join.received == 27


def test_attempts_are_numbered_in_order_of_time() -> None:
    """The earlier sending is the first, also where its transit comes later."""
    story = Story()
    story.see_parent(0)
    again = make_transit({2: 21000, 3: 21010, 4: 21020}, tsval=200)
    story.join.add_batch(make_batch(NODE_1, again), 0)
    story.join.add_batch(make_batch(NODE_1, NEAR), 1 * SECOND)
    attempts = {
        span.start_ns: dict(span.attributes).get("hopspan.attempt")
        for emission in story.join.take_due(4 * SECOND)
        for span in emission.spans
    }
    starts = sorted(attempts)
    assert [attempts[start] for start in starts] == [None, None, 2, 2]


def test_end_emits_what_has_its_parent_and_counts_the_rest() -> None:
    """Nothing waits for its time at the end."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    story.see(0, FOREIGN_NODE, make_transit({5: 1120, 7: 1140}, seq=7))
    story.see(0, NODE_1, make_transit({2: 1000, 4: 1010}, seq=7))
    story.see(0, NODE_1, make_transit({2: 0, 7: 5}, parent_id=b"\x01" * 8))
    names = list_names(story.join.close(1 * SECOND))
    assert sorted(names) == sorted([*NEAR_HOPS, "host-forward"][:2])
    assert story.released == {TransitReason.SHUTDOWN: 1, TransitReason.CLOCK: 1}
    assert story.join.messages.waiting_count == 0


def test_client_half_that_comes_after_the_server_half_is_the_parent() -> None:
    """With B3's shared ids the span that waited is found, if it comes before the hops leave."""
    story = Story()
    server = (PARENT_KEY, 2, EPOCH_NS + 2 * MS, EPOCH_NS + 3 * MS)
    story.join.add_parents(b"server", [server], 0)
    story.join.add_batch(make_batch(NODE_1, NEAR), 0)
    story.join.add_parents(b"client", [PARENT], 1 * SECOND)
    assert {emission.resource for emission in story.join.take_due(2 * SECOND)} == {b"client"}


def test_replay_gives_the_same_spans() -> None:
    """Whoever sends everything again gets the same ids, times and attributes."""

    def play() -> list[Emission]:
        story = Story()
        story.join.add_parents(b"resource", [PARENT], 0)
        story.join.add_batch(make_batch(NODE_1, NEAR), 0)
        story.join.add_batch(make_batch(NODE_2, FAR), 0)
        return story.join.take_due(0)

    assert play() == play()
