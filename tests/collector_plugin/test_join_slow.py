"""Hops of slow exchanges alone: both directions are judged together, and what comes late with what was there."""

from typing import Any

import pytest

from collector_plugin import exchanges
from collector_plugin.caps import MAX_PER_PARENT
from collector_plugin.network_span import Detail
from collector_plugin.reasons import ForgetReason, HopReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from node_probe.transit import Transit
from tests.collector_plugin.builders import (
    EPOCH_NS,
    FOREIGN_NODE,
    MS,
    NODE_1,
    NODE_2,
    TRACE_ID,
    US,
    make_transit,
)
from tests.collector_plugin.join_story import (
    ANSWER_FAR,
    ANSWER_NEAR,
    FAR,
    FAR_HOPS,
    NEAR,
    NEAR_HOPS,
    PARENT,
    REQUEST_HOPS,
    WHOLE,
    WIRE,
    Story,
)

SLOW: dict[str, Any] = {"detail": Detail.SLOW, "slow_threshold_ns": 280 * US - 1}
FAST: dict[str, Any] = {"detail": Detail.SLOW, "slow_threshold_ns": 280 * US}


@pytest.mark.parametrize(("settings", "is_shown"), [(SLOW, True), (FAST, False)])
def test_both_directions_are_judged_together(settings: dict[str, Any], is_shown: bool) -> None:  # noqa: FBT001 - a table's column
    """Once both are there all is shown or nothing; exactly the threshold is not more than it."""
    story = Story(**settings)
    story.see_parent(0)
    assert story.see_both(0, NEAR, FAR) == []
    spans = story.see_both(1, ANSWER_FAR, ANSWER_NEAR)
    assert [span.name for span in spans] == (2 * REQUEST_HOPS if is_shown else [])
    assert story.dropped == ({} if is_shown else {HopReason.NOT_SLOW: 10})
    assert story.join.joined == 4


def test_lost_direction_is_not_waited_for_longer_than_settle() -> None:
    """The request alone decides, if it is slow enough."""
    for threshold_us, hops in ((139, REQUEST_HOPS), (140, [])):
        story = Story(detail=Detail.SLOW, slow_threshold_ns=threshold_us * US)
        story.see_parent(0)
        story.see_both(0, NEAR, FAR)
        assert story.look(1.99) == []
        assert story.look(2) == hops


def test_what_comes_late_is_judged_with_what_was_there() -> None:
    """A slow exchange shows it; a fast one shows it only if it is slow by it."""
    for threshold_us, early, late in (
        (19, NEAR_HOPS, WIRE + FAR_HOPS),
        (100, [], WIRE + FAR_HOPS),
        (140, [], []),
    ):
        story = Story(detail=Detail.SLOW, slow_threshold_ns=threshold_us * US)
        story.see_parent(0)
        story.see(0, NODE_1, NEAR)
        assert story.look(2) == []
        assert story.look(4) == early
        assert story.see(5, NODE_2, FAR) == late


def test_sendings_of_one_message_are_not_added_up() -> None:
    """Neither are exchanges that follow each other on one connection: none of them was slow."""
    story = Story(**FAST)
    story.see_parent(0)
    for number in range(5):
        sent = make_transit({2: 1000, 3: 1010, 4: 1020}, tsval=number, seq=number % 2)
        story.see(0, NODE_1, sent)
        story.see(0, NODE_2, make_transit({5: 1120, 6: 1130, 7: 1140}, tsval=number, seq=number % 2))
    story.look(10)
    assert story.dropped == {HopReason.NOT_SLOW: 25}


def test_connections_of_one_parent_are_judged_apart() -> None:
    """A parent that called twice may have been slow once."""
    story = Story(detail=Detail.SLOW, slow_threshold_ns=50 * US)
    story.see_parent(0)
    values = {name: getattr(WHOLE, name) for name in WHOLE.__struct_fields__}
    slow = make_transit({2: 1000, 7: 1090})
    story.see(0, NODE_1, Transit(**{**values, "client_port": 40_001}), slow)
    assert story.look(4) == ["host-forward"]
    assert story.dropped == {HopReason.NOT_SLOW: 1}


def test_held_far_half_is_waited_for() -> None:
    """Until settle: the clocks of two nodes may be related by the very response."""
    story = Story(detail=Detail.SLOW, slow_threshold_ns=200 * US)
    story.see_parent(0)
    story.see(0, NODE_1, NEAR, ANSWER_NEAR)
    assert story.see(0, FOREIGN_NODE, FAR) == []
    assert sorted(story.see(1, FOREIGN_NODE, ANSWER_FAR)) == sorted(2 * REQUEST_HOPS)


def test_end_decides_with_what_is_there() -> None:
    """Nothing is left undecided when the plugin ends."""
    story = Story(detail=Detail.SLOW, slow_threshold_ns=100 * US)
    story.see_parent(0)
    story.see_both(0, NEAR, FAR)
    emissions = story.join.close(1)
    assert [span.name for emission in emissions for span in emission.spans] == REQUEST_HOPS


def test_undecided_hops_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many wait the oldest exchange is judged by what is there, and counted."""
    monkeypatch.setattr(exchanges, "MAX_HELD_HOPS", 12)
    story = Story(detail=Detail.SLOW, slow_threshold_ns=139 * US)
    for number in range(1, 5):
        parent_id = bytes([number]) * 8
        story.see_parent(0, (TRACE_ID + parent_id, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS))
        story.see(0, NODE_1, make_transit({2: 1000, 3: 1010, 4: 1020}, parent_id=parent_id))
        shown = story.see(0, NODE_2, make_transit({5: 1120, 6: 1130, 7: 1140}, parent_id=parent_id))
        assert shown == (REQUEST_HOPS if number > 2 else [])
    assert story.join.forgotten[ForgetReason.EXCHANGE_EVICTED] == 2


def test_decided_exchanges_are_remembered_for_a_window_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is forgotten begins anew with what comes late."""
    monkeypatch.setattr(exchanges, "MAX_REMEMBERED", 3)
    story = Story(detail=Detail.SLOW, slow_threshold_ns=1)
    for number in range(1, 6):
        key = TRACE_ID + bytes([number]) * 8
        story.see_parent(0, (key, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS))
        story.see(0, NODE_1, make_transit({2: 1000, 7: 1010}, parent_id=key[16:]))
    assert story.join.forgotten[ForgetReason.EXCHANGE_EVICTED] == 2
    assert len(story.look(2)) == 5


def test_caps_hold_for_slow_exchanges_too() -> None:
    """A parent has its cap, whatever the detail."""
    story = Story(detail=Detail.SLOW, slow_threshold_ns=0)
    story.see_parent(0, (PARENT[0], SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS))
    for seq in range(MAX_PER_PARENT + 2):
        story.see(0, NODE_1, make_transit({2: 1000, 7: 1010}, seq=seq))
    assert len(story.look(2)) == MAX_PER_PARENT
    assert story.dropped == {HopReason.PARENT_CAP: 2}
