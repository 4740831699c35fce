"""Time ranges as people write them."""

import pytest

from traceview.time_range import TimeRange, read_time_range

NOW_NS = 1_790_000_000_123_456_789
HOUR_NS = 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now-2h/now-1h", TimeRange(NOW_NS - 2 * HOUR_NS, NOW_NS - HOUR_NS)),
        ("now-1h30m/now", TimeRange(NOW_NS - 3 * HOUR_NS // 2, NOW_NS)),
        ("2026-09-21T13:00:00Z/2026-09-21T14:00:00.5Z", TimeRange(1789995600 * 10**9, 1789999200_500000000)),
        ("2026-09-21T15:00+02:00/2026-09-21T14:00:00Z", TimeRange(1789995600 * 10**9, 1789999200 * 10**9)),
        ("1970-01-01T00:00:00Z/now", TimeRange(0, NOW_NS)),
    ],
)
def test_ranges(text: str, expected: TimeRange) -> None:
    """Moments with a time zone, and so long before now."""
    assert read_time_range(text, NOW_NS) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("before.jsonl", "'before.jsonl' is neither a file nor a time range START/END"),
        ("now/now-1h", "ends before it begins"),
        ("now/now", "ends before it begins"),
        ("2026-09-21T13:00/now", "'2026-09-21T13:00' does not say in which time zone"),
        ("yesterday/now", "'yesterday' is no moment"),
        ("/", "'' is no moment"),
        ("now-1y/now", "'1y' is not a duration"),
        ("now-/now", "'' is not a duration"),
        ("1969-12-31T23:59:59Z/now", "is before 1970"),
        ("x" * 1000 + "/now", "is no moment"),
    ],
)
def test_what_is_no_range(text: str, words: str) -> None:
    """The error says which part is wrong."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are checked
        read_time_range(text, NOW_NS)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200
