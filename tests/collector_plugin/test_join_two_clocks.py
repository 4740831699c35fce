"""Joins of two nodes with simulated clocks: in whatever order all comes, it comes out, and no wire is negative."""

import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from collector_plugin.network_span import NetworkSpan
from collector_plugin.reasons import ClockReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from node_probe.transit import Direction
from tests.collector_plugin.builders import MS, PARENT_KEY, REQUEST, SECOND, US, make_batch
from tests.collector_plugin.clock_story import Passage, Wire, draw_times, exchange, heavy, jittery, make_nodes
from tests.collector_plugin.join_story import Story

HOUR = 3600 * SECOND
WIRES = st.sampled_from([jittery(60 * US, 20 * US), jittery(5 * MS, MS, 30 * MS), heavy(2 * US, 50 * US)])
EXCHANGES = 12
HOPS = 3
"""Of a message: one on each node, and the wire."""


def deliver(story: Story, passages: list[Passage], rng: random.Random) -> list[NetworkSpan]:
    """Let the halves of all messages and their parent arrive in random order within 20 s; return what comes out."""
    parent = (PARENT_KEY, SPAN_KIND_CLIENT, 1, 1 << 62)
    halves = [half for passage in passages for half in (passage.near, passage.far)]
    rng.shuffle(halves)
    parent_at = rng.randrange(len(halves) + 1)
    spans: list[NetworkSpan] = []
    for number in range(len(halves) + 1):
        now_ns = number * 20 * SECOND // len(halves)
        if number == parent_at:
            story.join.add_parents(b"resource", [parent], now_ns)
        if number < len(halves):
            half = halves[number]
            story.join.add_batch(
                make_batch(half.origin.place.node, half.raw.decode(), offset_ns=half.origin.epoch_offset_ns), now_ns
            )
        spans += [span for emission in story.join.take_due(now_ns) for span in emission.spans]
    spans += [span for emission in story.join.take_due(30 * SECOND) for span in emission.spans]
    return spans


def deliver_in_order(story: Story, passages: Iterable[Passage], now_ns: int) -> list[NetworkSpan]:
    """Let the halves of messages arrive as they passed; return what comes out within ten seconds."""
    for half in (half for passage in passages for half in (passage.near, passage.far)):
        batch = make_batch(half.origin.place.node, half.raw.decode(), offset_ns=half.origin.epoch_offset_ns)
        story.join.add_batch(batch, now_ns)
    return [span for emission in story.join.take_due(now_ns + 10 * SECOND) for span in emission.spans]


@settings(max_examples=150, deadline=None)
@given(
    st.integers(-10 * HOUR, 10 * HOUR),
    st.integers(-100_000, 100_000),
    st.tuples(WIRES, WIRES),
    st.sampled_from([("boot-a", "boot-b"), ("boot-a", "boot-a")]),
    st.integers(0, 1 << 32),
)
def test_all_comes_out_once_a_message_passed_in_each_direction(
    offset_ns: int, rate_ppb: int, wires: tuple[Wire, Wire], ids: tuple[str, str], seed: int
) -> None:
    """Cloned machines' too: nothing is held for ever, dropped, or placed before it left."""
    rng = random.Random(seed)  # noqa: S311 - the same story every time
    nodes = make_nodes(offset_ns, ((0, rate_ppb),), ids=ids)
    times = [at_ns for at_ns, _ in zip(draw_times(rng, 10.0, HOUR), range(EXCHANGES), strict=False)]
    passages = [
        passage
        for at_ns in times
        for passage in exchange(*(nodes if rng.random() < 1 / 2 else nodes[::-1]), at_ns, wires, rng)
    ]
    story = Story()
    spans = deliver(story, passages, rng)
    if len(story.join.held) and len(set(ids)) == 1:
        # Clones are seen by a message that would arrive before it left. What passed before it bounds nothing, so
        # where it was the last it waits for others.
        others = exchange(*nodes, times[-1] + SECOND, wires, rng)
        spans += deliver_in_order(story, others, 30 * SECOND)
        passages += others
    assert len(spans) == len({span.span_id for span in spans}) == HOPS * len(passages)
    told = [dict(span.attributes) for span in spans]
    if min(abs(theta_ns) for passage in passages for theta_ns in passage.thetas_ns) > 25 * US:
        assert "same" not in {item.get("hopspan.clock.source") for item in told}
    assert all(isinstance(item["hopspan.duration_ns"], int) and item["hopspan.duration_ns"] >= 0 for item in told)
    assert len(story.join.held) == 0
    assert (story.released, story.dropped) == ({}, {})
    assert story.join.clocks.contradictions[ClockReason.STEPPED] == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(-10 * HOUR, 10 * HOUR), st.sampled_from(list(Direction)), st.integers(0, 1 << 32))
def test_what_nothing_passes_back_for_is_counted(offset_ns: int, direction: Direction, seed: int) -> None:
    """Requests alone, or responses alone: each far half and wire is dropped under its reason, once."""
    rng = random.Random(seed)  # noqa: S311 - the same story every time
    nodes = make_nodes(offset_ns)
    wires = jittery(60 * US, 20 * US), jittery(60 * US, 20 * US)
    passages = [exchange(*nodes, number * 10 * MS, wires, rng)[direction != REQUEST] for number in range(EXCHANGES)]
    story = Story()
    spans = deliver(story, passages, rng)
    spans += [span for emission in story.join.take_due(100 * SECOND) for span in emission.spans]
    assert len(story.join.held) == 0
    assert story.join.received == story.join.joined + sum(story.released.values()) == 2 * EXCHANGES
    assert len(spans) + sum(story.dropped.values()) == HOPS * EXCHANGES
    assert all(span.name != "underlay" for span in spans)
