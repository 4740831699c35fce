"""What messages say of the difference between two clocks: never less than the truth, and as little more as can be."""

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from collector_plugin.clock_bounds import CELL_NS, DRIFT_DIVISOR, MAX_AGE_NS, MAX_KEPT, Envelope, allow_drift
from tests.collector_plugin.builders import MS, SECOND, US

MESSAGES = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3_000)), min_size=1, max_size=40)


def make_envelope(messages: list[tuple[int, int]]) -> Envelope:
    """Return an envelope of messages that each have a cell of their own."""
    envelope = Envelope()
    for cell, bound_us in messages:
        envelope.add(cell * CELL_NS, bound_us * US)
    return envelope


@given(MESSAGES, st.integers(-10, 110))
def test_bound_is_the_lowest_that_any_message_gives(messages: list[tuple[int, int]], cell: int) -> None:
    """Whatever was not kept says nothing that the kept ones do not; in whatever order they came."""
    at_ns = cell * CELL_NS
    lowest_ns = min(bound_us * US + allow_drift(abs(at_ns - other * CELL_NS)) for other, bound_us in messages)
    bound = make_envelope(messages).bound_at(at_ns)
    assert bound is not None
    # Drifts are rounded up, one by one.
    assert lowest_ns <= bound.value_ns <= lowest_ns + 2


@given(MESSAGES)
def test_each_message_that_is_kept_counts(messages: list[tuple[int, int]]) -> None:
    """None could be left out, so that few are kept where most are slow."""
    envelope = make_envelope(messages)
    times, bounds = envelope.list_points(0)
    assert times == sorted(set(times))
    for at_ns, bound_ns in zip(times, bounds, strict=True):
        found = envelope.bound_at(at_ns)
        assert found is not None
        assert (found.value_ns, found.distance_ns) == (bound_ns + 1, 0)


def test_message_bounds_less_with_time_in_both_directions() -> None:
    """By what clocks may drift: 10 us in 0.1 s, and so on."""
    envelope = Envelope()
    envelope.add(50 * SECOND, 40 * US)
    for distance_ns in (0, SECOND, 30 * SECOND, MAX_AGE_NS):
        for at_ns in (50 * SECOND - distance_ns, 50 * SECOND + distance_ns):
            bound = envelope.bound_at(at_ns)
            assert bound is not None
            assert bound.value_ns == 40 * US + distance_ns // DRIFT_DIVISOR + 1
            assert bound.distance_ns == distance_ns
    assert envelope.bound_at(51 * SECOND + MAX_AGE_NS) is None
    assert envelope.bound_at(49 * SECOND - MAX_AGE_NS) is None
    assert Envelope().bound_at(0) is None


def test_best_of_a_cell_is_kept() -> None:
    """So that a thousand messages a second are ten, of which each is the best of a hundred."""
    envelope = Envelope()
    assert envelope.add(20 * MS, 9 * US)
    assert not envelope.add(60 * MS, 11 * US)
    assert envelope.add(60 * MS, 7 * US)
    assert envelope.add(130 * MS, 8 * US)
    assert envelope.list_points(0) == ([60 * MS, 130 * MS], [7 * US, 8 * US])
    assert not envelope.add(110 * MS, 9 * US)
    assert envelope.add(90 * MS, 5 * US)
    assert envelope.list_points(0) == ([90 * MS, 130 * MS], [5 * US, 8 * US])


def test_messages_kept_are_few_and_reach_far_back() -> None:
    """Of the older half every second one goes when there are too many: the better one of each two stays."""
    rng = random.Random(4)  # noqa: S311 - the same delays every time
    envelope = Envelope()
    for number in range(3_000):
        # Each gains a little on the one before, faster than clocks drift: none makes another useless.
        if envelope.add(number * CELL_NS, rng.randrange(8) * US) and len(envelope) > MAX_KEPT:
            envelope.thin()
    times, bounds = envelope.list_points(0)
    assert MAX_KEPT * 3 // 4 <= len(envelope) <= MAX_KEPT
    assert times[-1] - times[0] >= 40 * SECOND
    assert times[-MAX_KEPT // 2] >= times[-1] - 26 * SECOND
    assert max(bounds[:20]) <= 3 * US


def test_thinning_keeps_the_lower_of_two() -> None:
    """And all of the newer half."""
    envelope = Envelope()
    for number, late_us in enumerate((0, 3, 3, 0, 1, 1, 1, 1)):
        envelope.add(number * 10 * SECOND, late_us * US)
    envelope.thin()
    assert envelope.list_points(0)[0] == [n * 10 * SECOND for n in (0, 3, 4, 5, 6, 7)]


def test_envelope_has_its_size() -> None:
    """A full one takes some 4 KiB."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        envelope = Envelope()
        for number in range(MAX_KEPT):
            envelope.add(number * CELL_NS, 5 * US)
        assert len(envelope) == MAX_KEPT
        assert tracemalloc.get_traced_memory()[0] - before < 6 << 10
    finally:
        tracemalloc.stop()
