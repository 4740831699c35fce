"""What bounds the join: caps, full tables, and the rule that nothing vanishes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_plugin import message_table, waiting
from collector_plugin.caps import MAX_PER_PARENT
from collector_plugin.message_table import MAX_ATTEMPTS
from collector_plugin.network_span import Detail
from collector_plugin.reasons import ForgetReason, HopReason, TransitReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from tests.collector_plugin.builders import (
    EPOCH_NS,
    FOREIGN_NODE,
    MS,
    NODE_1,
    NODE_2,
    RESPONSE,
    SECOND,
    TRACE_ID,
    make_batch,
    make_node,
    make_transit,
)
from tests.collector_plugin.join_story import (
    FAR,
    NEAR,
    NEAR_HOPS,
    WIRE,
    Story,
)


def test_short_hops_are_left_out_and_counted() -> None:
    """`min_duration` takes the exact time between the stamps."""
    story = Story(min_duration_ns=10_001)
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    assert story.see(0, NODE_2, FAR) == WIRE
    assert story.dropped == {HopReason.MIN_DURATION: 4}


def test_caps_cut_what_is_too_much() -> None:
    """A trace gets so many network spans and no more; the rest is counted."""
    story = Story(max_per_trace=3)
    story.see_parent(0)
    story.see(0, NODE_1, NEAR)
    assert story.see(0, NODE_2, FAR) == NEAR_HOPS + WIRE
    assert story.dropped == {HopReason.TRACE_CAP: 2}


def test_one_parent_cannot_keep_everything_waiting() -> None:
    """Of messages that wait for one parent only as many are kept as it may have spans."""
    story = Story()
    transits = [make_transit({2: 0, 7: 5}, seq=seq) for seq in range(MAX_PER_PARENT + 3)]
    story.see(0, NODE_1, *transits)
    assert story.released == {TransitReason.PARENT_CAP: 3}
    assert len(story.see_parent(1)) == MAX_PER_PARENT


def test_full_store_lets_go_of_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newcomers push out what waited longest, which is the likeliest to have no parent at all."""
    monkeypatch.setattr(waiting, "MAX_TRANSITS", 5)
    story = Story()
    for seq in range(7):
        story.see(seq, NODE_1, make_transit({2: 0, 7: 5}, seq=seq, parent_id=bytes([seq + 1] * 8)))
    assert story.released == {TransitReason.TRANSITS_FULL: 2}
    for seq in range(7):
        key = TRACE_ID + bytes([seq + 1] * 8)
        assert len(story.see_parent(10, (key, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + MS))) == (0 if seq < 2 else 1)


def test_messages_that_settle_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves whose parent is there wait for their counterparts in a table of their own."""
    monkeypatch.setattr(message_table, "MAX_TRANSITS", 5)
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, *[make_transit({2: 0, 4: 5}, seq=seq) for seq in range(7)])
    assert story.released == {TransitReason.TRANSITS_FULL: 2}
    assert len(story.look(2)) == 5


def test_forged_contexts_without_end_cost_honest_ones_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod that invents contexts displaces its own: what waits of others is joined when its spans come."""
    monkeypatch.setattr(waiting, "MAX_TRANSITS", 500)
    story = Story()
    parents = [bytes([number]) * 8 for number in range(1, 24)]
    for number, parent_id in enumerate(parents):
        near = make_transit({2: 1000, 3: 1010, 4: 1020}, parent_id=parent_id)
        far = make_transit({5: 1120, 6: 1130, 7: 1140}, parent_id=parent_id)
        story.see(0, make_node(f"near-{number}"), near)
        story.see(0, make_node(f"far-{number}"), far)
    for first in range(0, 10_000, 100):
        numbers = range(first, first + 100)
        story.see(
            1, NODE_1, *[make_transit({2: 0, 4: 9}, trace_id=n.to_bytes(16, "big"), seq=n) for n in numbers if n]
        )
    assert story.join.waiting.count <= 500
    for parent_id in parents:
        names = story.see_parent(5, (TRACE_ID + parent_id, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS))
        assert names == NEAR_HOPS + WIRE + ["vxlan-decap", "host-forward"]
    assert story.released == {TransitReason.TRANSITS_FULL: 9_999 - story.join.waiting.count}


def test_sendings_of_one_message_are_bounded() -> None:
    """TCP gives up long before; whoever forges more adds nothing by it."""
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, *[make_transit({2: 0, 7: 5}, tsval=tsval) for tsval in range(MAX_ATTEMPTS + 3)])
    assert story.released == {TransitReason.ATTEMPT_CAP: 3}


def test_remembered_messages_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was emitted is forgotten early under pressure; only late counterparts lose by it."""
    monkeypatch.setattr(message_table, "MAX_REMEMBERED", 5)
    story = Story()
    story.see_parent(0)
    story.see(0, NODE_1, *[make_transit({2: 0, 7: 5}, seq=seq) for seq in range(7)])
    assert story.join.messages.remembered_count == 5
    assert story.join.forgotten[ForgetReason.MESSAGE_EVICTED] == 2


NODES = st.sampled_from([NODE_1, NODE_2, FOREIGN_NODE, make_node("node-3")])
TRANSITS = st.builds(
    make_transit,
    st.sampled_from([{2: 0, 3: 5, 4: 9}, {5: 50, 6: 60}, {2: 0, 7: 9}, {5: 1, 4: 2}, {4: 7}, {5: 2}]),
    direction=st.sampled_from([0, 1]).map(lambda n: RESPONSE if n else NEAR.direction),
    tsval=st.integers(0, 2),
    seq=st.integers(0, 2),
    parent_id=st.sampled_from([b"\x01" * 8, b"\x02" * 8, b"\x03" * 8]),
)
STEPS = st.one_of(
    st.tuples(st.just("transits"), NODES, st.lists(TRANSITS, min_size=1, max_size=3)),
    st.tuples(st.just("parent"), st.sampled_from([1, 2]), st.just(None)),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 3, 30, 70]), st.just(None)),
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40), st.integers(1, 20), st.booleans(), st.sampled_from(Detail))
def test_nothing_vanishes(
    steps: list[tuple[str, Any, Any]],
    max_per_trace: int,
    is_small: bool,  # noqa: FBT001 - generated
    detail: Detail,
) -> None:
    """Whatever happens in whatever order: each transit is joined, or released, or waits; ids are unique."""
    story = Story(max_per_trace=max_per_trace, detail=detail, slow_threshold_ns=7_000)
    spans: list[Any] = []
    now_ns = 0
    with pytest.MonkeyPatch.context() as patch:
        if is_small:
            patch.setattr(message_table, "MAX_TRANSITS", 3)
            patch.setattr(message_table, "MAX_REMEMBERED", 2)
        for kind, subject, transits in steps:
            if kind == "transits":
                story.join.add_batch(make_batch(subject, *transits), now_ns)
            elif kind == "parent":
                key = TRACE_ID + bytes([subject] * 8)
                story.join.add_parents(b"r", [(key, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + MS)], now_ns)
            else:
                now_ns += subject * SECOND
            spans += [span for emission in story.join.take_due(now_ns) for span in emission.spans]
            assert min(story.join.messages.waiting_count, story.join.waiting.count) >= 0
            assert story.join.received == (
                story.join.joined + sum(story.join.released.values()) + story.join.waiting_count
            )
        spans += [span for emission in story.join.close(now_ns) for span in emission.spans]
    assert story.join.received == story.join.joined + sum(story.join.released.values())
    assert (story.join.messages.waiting_count, story.join.messages.waiting_bytes) == (0, 0)
    assert (story.join.waiting.count, story.join.waiting.size_bytes) == (0, 0)
    assert sum(story.join.emitted.values()) == len(spans)
    if not is_small:
        ids = [span.span_id for span in spans]
        assert now_ns >= 60 * SECOND or len(set(ids)) == len(ids)
