"""Backoff: a table of attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.retry import INITIAL_DELAY_NS, MAX_DELAY_NS, MAX_RETRY_AFTER_NS, choose_delay_ns

SECOND = 10**9


@pytest.mark.parametrize(
    ("attempt", "random_unit", "retry_after_ns", "expected_ns"),
    [
        (1, 0.0, None, 0),
        (1, 0.5, None, SECOND // 4),
        (2, 0.5, None, SECOND // 2),
        (3, 0.5, None, SECOND),
        (7, 0.5, None, 15 * SECOND),
        (1000, 0.5, None, 15 * SECOND),
        (1, 0.0, 3 * SECOND, 3 * SECOND),
        (1, 0.5, 3 * SECOND, 3 * SECOND + SECOND // 4),
        (1, 0.0, 3600 * SECOND, MAX_RETRY_AFTER_NS),
        (1, 0.0, -1, 0),
    ],
)
def test_delay_doubles_up_to_a_limit_and_honours_the_peer(
    attempt: int, random_unit: float, retry_after_ns: int | None, expected_ns: int
) -> None:
    """The ceiling doubles with each failure up to 30 s; what the peer asks for is the least that is waited."""
    assert choose_delay_ns(attempt, random_unit, retry_after_ns) == expected_ns


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.none() | st.integers(0, 10**20))
def test_delay_is_always_bounded(attempt: int, random_unit: float, retry_after_ns: int | None) -> None:
    """No input leads to a negative delay, or to one beyond both limits together."""
    assert 0 <= choose_delay_ns(attempt, random_unit, retry_after_ns) <= MAX_RETRY_AFTER_NS + MAX_DELAY_NS


UNITS = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10**6), UNITS)
def test_delay_never_shrinks_with_failures(attempt: int, random_unit: float) -> None:
    """For the same chance the next delay is at least as long, and twice as long until the limit is reached."""
    delay_ns, next_ns = choose_delay_ns(attempt, random_unit), choose_delay_ns(attempt + 1, random_unit)
    assert delay_ns <= next_ns
    if INITIAL_DELAY_NS << min(attempt, 60) <= MAX_DELAY_NS:
        assert 0 <= next_ns - 2 * delay_ns <= 1  # whole nanoseconds


@given(st.integers(1, 10**6), UNITS, UNITS)
def test_clients_that_failed_together_come_back_apart(attempt: int, one: float, other: float) -> None:
    """The whole span from nothing to the ceiling is used: delays lie as far apart as the random numbers do."""
    ceiling_ns = min(MAX_DELAY_NS, INITIAL_DELAY_NS << min(attempt - 1, 60))
    apart_ns = abs(choose_delay_ns(attempt, one) - choose_delay_ns(attempt, other))
    assert abs(apart_ns - abs(one - other) * ceiling_ns) <= 2


@given(st.integers(1, 10**6), UNITS, st.integers(0, MAX_RETRY_AFTER_NS))
def test_peer_is_never_asked_before_the_time_it_named(attempt: int, random_unit: float, retry_after_ns: int) -> None:
    """What the peer asks for is waited, and the jitter with it, so that the crowd does not come at that very time."""
    delay_ns = choose_delay_ns(attempt, random_unit, retry_after_ns)
    assert delay_ns == retry_after_ns + choose_delay_ns(attempt, random_unit)
