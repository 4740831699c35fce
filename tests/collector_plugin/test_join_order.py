"""Whatever the order in which spans and transits arrive, and how often: the same network spans come out."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_plugin.network_span import Detail, NetworkSpan
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from node_probe.transit import Direction, Transit
from tests.collector_plugin.builders import (
    EPOCH_NS,
    MS,
    NODE_1,
    NODE_2,
    REQUEST,
    RESPONSE,
    SECOND,
    TRACE_ID,
    make_batch,
    make_transit,
)
from tests.collector_plugin.join_story import ANSWER_FAR, ANSWER_NEAR, FAR, NEAR, REQUEST_HOPS, Story

WINDOW_S = 60
"""As the story has it."""

PARENT_IDS = [bytes([number]) * 8 for number in (1, 2, 3)]
TRANSITS = [(NODE_1, NEAR), (NODE_2, FAR), (NODE_2, ANSWER_FAR), (NODE_1, ANSWER_NEAR)]


def with_parent(transit: Transit, parent_id: bytes) -> Transit:
    """Return the transit under another parent."""
    return msgspec.structs.replace(transit, context=msgspec.structs.replace(transit.context, parent_id=parent_id))


ARRIVALS: list[tuple[Any, ...]] = [
    *(("parent", parent_id) for parent_id in PARENT_IDS),
    *(("transit", node, with_parent(transit, parent_id)) for parent_id in PARENT_IDS for node, transit in TRANSITS),
]


def play(arrivals: list[tuple[Any, ...]], detail: Detail) -> list[NetworkSpan]:
    """Return the spans of a story, all of which happens within `settle`, in the order of their ids."""
    story = Story(detail=detail, slow_threshold_ns=1)
    spans: list[NetworkSpan] = []
    step_ns = SECOND // len(arrivals)
    for number, (kind, *what) in enumerate(arrivals):
        now_ns = number * step_ns
        if kind == "parent":
            parent = (TRACE_ID + what[0], SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS)
            story.join.add_parents(b"resource", [parent], now_ns)
        else:
            story.join.add_batch(make_batch(*what), now_ns)
        spans += [span for emission in story.join.take_due(now_ns) for span in emission.spans]
    spans += [span for emission in story.join.take_due(10 * SECOND) for span in emission.spans]
    return sorted(spans, key=lambda span: span.span_id)


@settings(max_examples=200)
@given(st.permutations(ARRIVALS), st.lists(st.sampled_from(ARRIVALS), max_size=8), st.sampled_from(Detail))
def test_order_and_repetition_change_nothing(
    arrivals: list[tuple[Any, ...]], repeated: list[tuple[Any, ...]], detail: Detail
) -> None:
    """Spans before transits or behind them, one node before the other, everything twice: ids, times, attributes."""
    expected = play(ARRIVALS, detail)
    assert len(expected) == len(PARENT_IDS) * (2 if detail is Detail.SUMMARY else 10)
    assert play(arrivals + repeated, detail) == expected
    assert play(repeated + arrivals, detail) == expected


@settings(max_examples=200)
@given(st.permutations(ARRIVALS), st.sets(st.integers(0, len(ARRIVALS) - 1)))
def test_loss_leaves_no_orphan_and_nothing_outside_its_parent(
    arrivals: list[tuple[Any, ...]], lost: set[int]
) -> None:
    """Whatever does not arrive: what comes out is part of what would, under a span that was seen, and within it."""
    whole = {span.span_id: span for span in play(ARRIVALS, Detail.HOPS)}
    arrived = [arrival for number, arrival in enumerate(arrivals) if number not in lost]
    seen = {what[0] for kind, *what in arrived if kind == "parent"}
    for span in play(arrived, Detail.HOPS) if arrived else []:
        assert span.parent_id in seen
        assert EPOCH_NS <= span.start_ns < span.end_ns <= EPOCH_NS + 40 * MS
        # Alone the far half is placed by its own clock, which it says.
        same = {key: value for key, value in span.attributes if key != "hopspan.clock.source"}
        assert same == {k: v for k, v in whole[span.span_id].attributes if k != "hopspan.clock.source"}


@settings(max_examples=200)
@given(st.lists(st.integers(0, 110), min_size=len(ARRIVALS), max_size=len(ARRIVALS)))
def test_delay_leaves_no_orphan_and_nothing_outside_its_parent(delays_s: list[int]) -> None:
    """However late each comes, also beyond `window`: it comes once, under a span that was seen, and within it."""
    whole = {span.span_id: span for span in play(ARRIVALS, Detail.HOPS)}
    story = Story()
    seen: set[bytes] = set()
    shown: list[bytes] = []
    arrivals = sorted(zip(delays_s, ARRIVALS, strict=True), key=lambda pair: pair[0])
    for at_s, (kind, *what) in [*arrivals, (400, ("end",))]:
        now_ns = at_s * SECOND
        if kind == "parent":
            seen.add(what[0])
            parent = (TRACE_ID + what[0], SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS)
            story.join.add_parents(b"resource", [parent], now_ns)
        elif kind == "transit":
            story.join.add_batch(make_batch(*what), now_ns)
        for span in [span for emission in story.join.take_due(now_ns) for span in emission.spans]:
            assert span.parent_id in seen
            assert EPOCH_NS <= span.start_ns < span.end_ns <= EPOCH_NS + 40 * MS
            shown.append(span.span_id)
    assert len(set(shown)) == len(shown)
    assert set(shown) <= whole.keys()
    if max(delays_s) - min(delays_s) < WINDOW_S:
        # Whatever is within the window of all else is joined, late or not.
        assert set(shown) == whole.keys()


@settings(max_examples=200)
@given(st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(-9, 2), st.sampled_from([REQUEST, RESPONSE]))
def test_hops_come_out_in_the_order_of_the_way(gaps_us: list[int], wire_us: int, direction: Direction) -> None:
    """Of a response too; also where stamps are equal, and where one clock seems to step back at the wire."""
    story = Story()
    story.see_parent(0)
    sent = [1000, 1000 + gaps_us[0], 1000 + sum(gaps_us[:2])]
    received = [sent[2] + wire_us, sent[2] + wire_us + gaps_us[2], sent[2] + wire_us + sum(gaps_us[2:])]
    sender, receiver = (NODE_1, NODE_2) if direction is REQUEST else (NODE_2, NODE_1)
    assert (
        story.see(0, receiver, make_transit(dict(zip((5, 6, 7), received, strict=True)), direction=direction)) == []
    )
    shown = story.see(0, sender, make_transit(dict(zip((2, 3, 4), sent, strict=True)), direction=direction))
    assert shown == REQUEST_HOPS
