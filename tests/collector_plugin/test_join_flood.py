"""Floods: what forges or comes too fast stays within its bounds, and takes nothing from the others.

Time is simulated, so that the rates are those of the story and not those of the machine.
"""

import collections
import tracemalloc

import pytest

from collector_plugin import message_table
from collector_plugin.caps import MAX_PER_PARENT
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.parents import MAX_BYTES, ParentStore
from collector_plugin.reasons import TransitReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from collector_plugin.waiting import MAX_TRANSIT_BYTES, MAX_TRANSITS
from testbed.join_load import draw_ids
from tests.collector_plugin.builders import EPOCH_NS, MS, SECOND
from tests.collector_plugin.flood_story import PODS, SPANS, TRANSITS, forge, make_exchange, make_parent, reuse
from tests.soak import scale

STEP_NS = 10 * MS
STEPS_PER_S = SECOND // STEP_NS

FORGED_PER_STEP = 1_000
"""100,000 a second: a core's whole work, and what fills the store in less than three."""

HONEST_PER_STEP = 4
"""Each pod calls once a second."""

SPAN_DELAY = 4 * STEPS_PER_S
"""Applications send their spans four seconds later: were the oldest of all displaced, honest ones were by then."""

NEXT_SPAN_DELAY = STEPS_PER_S // 10
"""Of spans that are sent at once: the forger needs them known."""

FAR_DELAY = STEPS_PER_S
"""Of the far nodes' reports, which a probe had to send again."""

GIVEN_ONE_IN = 100
"""One in so many contexts is given to the forger."""

MILLION = 1_000_000


def name(number: int) -> bytes:
    """Return trace id and span id of one of a million."""
    return b"\1" * 8 + number.to_bytes(16, "big")


def check_bounds(join: Join) -> None:
    """Check what the join says of its size."""
    assert join.waiting.count <= MAX_TRANSITS
    assert join.waiting.size_bytes <= MAX_TRANSIT_BYTES
    assert join.received == join.joined + sum(join.released.values()) + join.waiting_count


@pytest.mark.timeout(0)
def test_hundred_thousand_forged_a_second_cost_honest_ones_nothing() -> None:
    """Of the honest exchanges at least 99 in 100 come out whole, each span under its own parent and within it."""
    join = Join(JoinSettings(60 * SECOND, 2 * SECOND))
    forged = forge(FORGED_PER_STEP)
    honest_steps = scale(3) * STEPS_PER_S
    span_count = 0
    parents = {draw_ids(number) for number in range(honest_steps * HONEST_PER_STEP)}
    for step in range(honest_steps + SPAN_DELAY):
        now_ns = step * STEP_NS
        join.add_batch(next(forged), now_ns)
        for number in range(step * HONEST_PER_STEP, (step + 1) * HONEST_PER_STEP if step < honest_steps else 0):
            for batch in make_exchange(number):
                join.add_batch(batch, now_ns)
        sent = step - SPAN_DELAY
        for number in range(sent * HONEST_PER_STEP, (sent + 1) * HONEST_PER_STEP) if sent >= 0 else ():
            join.add_parents(b"resource", [make_parent(number)], now_ns)
        for span in [span for emission in join.take_due(now_ns) for span in emission.spans]:
            span_count += 1
            assert span.trace_id + span.parent_id in parents
            assert EPOCH_NS <= span.start_ns < span.end_ns <= EPOCH_NS + 40 * MS
        check_bounds(join)
    exchanges = honest_steps * HONEST_PER_STEP
    assert exchanges >= PODS
    # The flood went on for long enough to displace somebody.
    assert join.released[TransitReason.TRANSITS_FULL] > 0.3 * MAX_TRANSITS
    assert 0.99 * exchanges * TRANSITS <= join.joined <= exchanges * TRANSITS
    assert 0.99 * exchanges * SPANS <= span_count <= exchanges * SPANS


@pytest.mark.timeout(0)
def test_hundred_thousand_a_second_with_the_contexts_of_others_cost_honest_ones_nothing() -> None:
    """A pod that is called by one in a hundred sends what it was given again and again, while far halves are late.

    Of the other exchanges at least 99 in 100 come out whole; what the join keeps stays within its bounds.
    """
    join = Join(JoinSettings(60 * SECOND, 2 * SECOND))
    forged = reuse(FORGED_PER_STEP)
    next(forged)
    honest_steps = scale(2) * STEPS_PER_S
    given: list[bytes] = []
    span_counts: collections.Counter[bytes] = collections.Counter()
    for step in range(honest_steps + FAR_DELAY + 1):
        now_ns = step * STEP_NS
        for delay, reporters in ((0, (0, 3)), (FAR_DELAY, (1, 2))):
            for number in list_honest(step - delay, honest_steps):
                batches = make_exchange(number)
                for place in reporters:
                    join.add_batch(batches[place], now_ns)
        for number in list_honest(step - NEXT_SPAN_DELAY, honest_steps):
            join.add_parents(b"resource", [make_parent(number)], now_ns)
            if number % GIVEN_ONE_IN == 0:
                given.append(draw_ids(number))
        join.add_batch(forged.send(given), now_ns)
        for span in [span for emission in join.take_due(now_ns) for span in emission.spans]:
            span_counts[span.trace_id + span.parent_id] += 1
        check_bounds(join)
        assert join.messages.waiting_count <= message_table.MAX_TRANSITS
        assert join.messages.waiting_bytes <= message_table.MAX_TRANSIT_BYTES
        assert join.messages.remembered_count <= message_table.MAX_REMEMBERED
    assert join.released[TransitReason.TRANSITS_FULL] > message_table.MAX_TRANSITS
    assert max(span_counts.values()) <= MAX_PER_PARENT
    others = [draw_ids(number) for number in range(honest_steps * HONEST_PER_STEP) if number % GIVEN_ONE_IN]
    whole = [parent for parent in others if span_counts[parent] == SPANS]
    assert len(whole) >= 0.99 * len(others)


def list_honest(step: int, steps: int) -> range:
    """Return the numbers of the exchanges that begin in a step."""
    return range(step * HONEST_PER_STEP, (step + 1) * HONEST_PER_STEP) if 0 <= step < steps else range(0)


@pytest.mark.timeout(0)
def test_million_transits_that_wait_stay_within_their_bounds() -> None:
    """As many as there is room for wait; the others are counted. The account is what test_join_memory measures."""
    join = Join(JoinSettings(600 * SECOND, 2 * SECOND))
    for number, batch in enumerate(forge(10_000)):
        if number == MILLION // 10_000:
            break
        join.add_batch(batch, number)
        check_bounds(join)
    assert join.received == MILLION
    # At most one in 64 more than must goes at a time.
    assert join.waiting.count > 0.95 * MAX_TRANSITS
    assert join.released[TransitReason.TRANSITS_FULL] == MILLION - join.waiting.count


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    ("max_bytes", "is_whole"), [(64 << 20, True), (MAX_BYTES, False)], ids=["room for all", "all that there is"]
)
def test_million_parents_stay_within_their_bounds(max_bytes: int, is_whole: bool) -> None:  # noqa: FBT001 - a case
    """All are found where there is room; else the newest are, and as many as were dropped are counted."""
    tracemalloc.start()
    try:
        store = ParentStore(max_bytes, 70 * SECOND)
        table_bytes = tracemalloc.get_traced_memory()[0]
        for first in range(0, MILLION, 1_000):
            spans = [
                (name(number), SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + MS) for number in range(first, first + 1_000)
            ]
            store.remember(bytes([first // 1_000 % 50]) * 500, spans, first)
        taken = tracemalloc.get_traced_memory()[0] - table_bytes
    finally:
        tracemalloc.stop()
    assert taken <= 1.05 * max_bytes
    assert store.size_bytes <= max_bytes
    assert store.count + store.evicted == MILLION
    assert (store.evicted == 0) is is_whole
    assert all(store.find(name(number)) is not None for number in range(MILLION - store.count, MILLION, 997))
    assert (store.find(name(0)) is not None) is is_whole
