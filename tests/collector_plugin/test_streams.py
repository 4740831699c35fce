"""HTTP/2 in the join: messages of one connection are told apart by their streams."""

import msgspec
import pytest

from collector_plugin.network_span import Detail
from collector_plugin.reasons import HopReason, TransitReason
from node_probe.transit import Transit, message_key
from tests.collector_plugin.builders import NODE_1, NODE_2, US
from tests.collector_plugin.join_story import (
    ANSWER_FAR,
    ANSWER_NEAR,
    FAR,
    FAR_HOPS,
    NEAR,
    NEAR_HOPS,
    REQUEST_HOPS,
    Story,
)


def on_stream(transit: Transit, stream_id: int, **changes: int) -> Transit:
    """Return the transit as that of a stream."""
    return msgspec.structs.replace(transit, stream_id=stream_id, **changes)


@pytest.mark.parametrize("is_parent_first", [False, True])
def test_two_nodes_meet_on_a_stream(*, is_parent_first: bool) -> None:
    """Both halves of a stream's request are one message, whichever comes first."""
    story = Story()
    if is_parent_first:
        story.see_parent(0)
    out = story.see(0, NODE_2, on_stream(FAR, 7)) + story.see(0, NODE_1, on_stream(NEAR, 7))
    out += [] if is_parent_first else story.see_parent(0.1)
    assert sorted(out) == sorted(REQUEST_HOPS)
    assert not story.released


def test_halves_of_different_streams_do_not_meet() -> None:
    """What has all else in common stays apart: each node's own hops are shown, and no wire."""
    story = Story()
    story.see_parent(0)
    assert story.see(0, NODE_1, on_stream(NEAR, 7)) == []
    assert story.see(0, NODE_2, on_stream(FAR, 9)) == []
    assert sorted(story.look(3)) == sorted(NEAR_HOPS + FAR_HOPS)


def test_two_streams_of_one_segment_stay_apart() -> None:
    """One parent calls twice, and both requests leave in one packet: each is a first attempt with hops of its own."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, on_stream(NEAR, 7), on_stream(NEAR, 9, seq=4342))
    assert sorted(story.see(0, NODE_2, on_stream(FAR, 9, seq=4342), on_stream(FAR, 7))) == sorted(REQUEST_HOPS * 2)
    assert read_attempts(story) == {"request": (2, 0)}
    assert not story.released


def test_packet_of_two_streams_that_is_sent_again() -> None:
    """Each of both requests has a second attempt."""
    story = Story()
    story.see_parent(0)
    for tsval in (100, 300):
        near = [on_stream(NEAR, 7, tsval=tsval), on_stream(NEAR, 9, seq=4342, tsval=tsval)]
        far = [on_stream(FAR, 7, tsval=tsval), on_stream(FAR, 9, seq=4342, tsval=tsval)]
        story.see(0, NODE_1, *near)
        assert len(story.see(0, NODE_2, *far)) == 2 * len(REQUEST_HOPS)
    story.look(5)
    assert read_attempts(story) == {"request": (2, 2)}


def test_slow_exchange_is_that_of_its_stream() -> None:
    """Of two exchanges of one parent on one connection, the slow one is shown and the other is not."""
    story = Story(detail=Detail.SLOW, slow_threshold_ns=200 * US)
    story.see_parent(0)
    story.see(0, NODE_1, on_stream(NEAR, 7), on_stream(ANSWER_NEAR, 7), on_stream(NEAR, 9, seq=4342))
    out = story.see(0, NODE_2, on_stream(FAR, 7), on_stream(ANSWER_FAR, 7), on_stream(FAR, 9, seq=4342))
    assert len(out) == 2 * len(REQUEST_HOPS)
    assert story.look(5) == []
    assert story.dropped == {HopReason.NOT_SLOW: len(REQUEST_HOPS)}


def test_batch_that_is_sent_again_is_known_by_its_streams() -> None:
    """What came before is a duplicate; the same of another stream is not."""
    story = Story()
    story.see_parent(0)
    for stream_id in (7, 7, 9):
        story.see(0, NODE_1, on_stream(NEAR, stream_id))
    assert story.released == {TransitReason.DUPLICATE: 1}


def test_key_differs_by_stream() -> None:
    """Both nodes compute one key for a stream's message, and another for another stream's."""
    assert message_key(on_stream(NEAR, 7)) != message_key(on_stream(NEAR, 9))
    assert message_key(on_stream(NEAR, 7)) == message_key(on_stream(FAR, 7))


def read_attempts(story: Story) -> dict[str, tuple[int, int]]:
    """Return the counts of first and of further attempts by direction."""
    found = story.join.messages.attempts.read()
    return {direction.label: (first, again) for direction, _, first, again in found if first or again}
