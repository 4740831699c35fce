"""Many messages in one request: they go on together, a limited number at a time, and each comes out as if alone."""

import pytest

from collector_plugin import message_table
from collector_plugin.emitter import AT_ONCE
from collector_plugin.reasons import ForgetReason, TransitReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT, SpanTimes
from node_probe.transit import Transit
from tests.collector_plugin.builders import EPOCH_NS, MS, NODE_1, NODE_2, make_transit
from tests.collector_plugin.join_story import FAR_HOPS, NEAR_HOPS, REQUEST_HOPS, WIRE, Story

COUNT = 3 * AT_ONCE + 1

PARENTS: list[SpanTimes] = [
    (bytes(15) + b"t" + number.to_bytes(8, "big"), SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS)
    for number in range(1, COUNT + 1)
]


def make_many(points: dict[int, int], parents: list[SpanTimes] = PARENTS) -> list[Transit]:
    """Return a request's transit for each parent."""
    return [make_transit(points, trace_id=key[:16], parent_id=key[16:]) for key, *_ in parents]


def test_spans_of_one_request_find_all_that_waits_for_them() -> None:
    """Both halves of each message are there when its span comes, so all hops come out at once and in order."""
    story = Story(max_per_trace=COUNT * len(REQUEST_HOPS))
    assert story.see(0, NODE_1, *make_many({2: 1000, 3: 1010, 4: 1020})) == []
    assert story.see(0, NODE_2, *make_many({5: 1120, 6: 1130, 7: 1140})) == []
    story.join.add_parents(b"resource", PARENTS, 0)
    emissions = story.join.take_due(0)
    assert [[span.name for span in emission.spans] for emission in emissions] == [REQUEST_HOPS] * COUNT
    assert [emission.spans[0].parent_id for emission in emissions] == [key[16:] for key, *_ in PARENTS]
    assert (story.join.joined, story.join.waiting_count) == (2 * COUNT, 0)


def test_transits_of_one_request_whose_spans_came_before() -> None:
    """The second node's report makes all of them whole; the same report once more changes nothing."""
    story = Story(max_per_trace=COUNT * len(REQUEST_HOPS))
    story.join.add_parents(b"resource", PARENTS, 0)
    far = make_many({5: 1120, 6: 1130, 7: 1140})
    assert story.see(0, NODE_1, *make_many({2: 1000, 3: 1010, 4: 1020})) == []
    assert story.see(0, NODE_2, *far) == REQUEST_HOPS * COUNT
    assert story.see(0, NODE_2, *far) == []
    assert story.released == {TransitReason.DUPLICATE: COUNT}


def test_halves_that_come_late_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """More are remembered than may be until those at hand went on; what was forgotten meanwhile begins anew."""
    story = Story(max_per_trace=COUNT * len(REQUEST_HOPS))
    story.join.add_parents(b"resource", PARENTS, 0)
    assert story.see(0, NODE_1, *make_many({2: 1000, 3: 1010, 4: 1020})) == []
    assert story.look(2) == NEAR_HOPS * COUNT
    monkeypatch.setattr(message_table, "MAX_REMEMBERED", 3)
    assert story.see(3, NODE_2, *make_many({5: 1120, 6: 1130, 7: 1140})) == (WIRE + FAR_HOPS) * AT_ONCE
    assert story.join.messages.remembered_count == 3
    assert story.look(5) == FAR_HOPS * (COUNT - AT_ONCE)
    assert story.join.forgotten[ForgetReason.MESSAGE_EVICTED] == 2 * COUNT - AT_ONCE - 3
    assert story.join.received == story.join.joined == 2 * COUNT
