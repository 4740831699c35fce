"""Backoff: a table of attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.retry import MAX_DELAY_NS, MAX_RETRY_AFTER_NS, choose_delay_ns

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
