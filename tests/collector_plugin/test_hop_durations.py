"""The distributions of hop durations: counted by bucket, and bounded in number without loss."""

import pytest

from collector_plugin import hop_durations
from collector_plugin.hop_durations import IDLE_NS, OTHER, RETRY_NS, HopDurations, SeriesKey
from hopspan.hop_bounds import BOUNDS_NS

TRACE_ID = b"t" * 16
KEY: SeriesKey = ("underlay", "request", "node-1", "node-2", "frontend")


def make_key(number: int, hop: str = "underlay") -> SeriesKey:
    """Return the labels of one of many pairs of nodes."""
    return (hop, "request", f"node-{number}", "node-x", "frontend")


@pytest.mark.parametrize(
    ("duration_ns", "bucket"),
    [(0, 0), (500, 0), (501, 1), (1_000, 1), (10**9, len(BOUNDS_NS) - 1), (10**9 + 1, len(BOUNDS_NS))],
)
def test_bound_belongs_to_its_bucket(duration_ns: int, bucket: int) -> None:
    """Bounds are inclusive, as OpenMetrics has it; what is longer than the last has a bucket of its own."""
    durations = HopDurations()
    durations.observe(KEY, (duration_ns, 77, TRACE_ID), 0)
    ((key, series),) = durations.read()
    assert key == KEY
    assert [at for at, number in enumerate(series.counts) if number] == [bucket]
    assert series.examples[bucket] == (duration_ns, 77, TRACE_ID)
    assert series.sum_ns == duration_ns


def test_newest_example_of_a_bucket_stays() -> None:
    """A trace of long ago may be gone from the backend."""
    durations = HopDurations()
    for epoch_ns in (1, 2):
        durations.observe(KEY, (700, epoch_ns, TRACE_ID), 0)
    ((_, series),) = durations.read()
    assert series.examples[1] == (700, 2, TRACE_ID)
    assert (sum(series.counts), series.sum_ns) == (2, 1400)


def test_what_was_read_moves_no_more() -> None:
    """A page is written while hops are counted."""
    durations = HopDurations()
    durations.observe(KEY, (700, 1, TRACE_ID), 0)
    ((_, series),) = durations.read()
    durations.observe(KEY, (700, 2, TRACE_ID), 0)
    assert (sum(series.counts), series.examples[1]) == (1, (700, 1, TRACE_ID))


def test_combinations_beyond_the_bound_are_counted_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hop is missing from the sums by hop and direction."""
    monkeypatch.setattr(hop_durations, "MAX_SERIES", 3)
    durations = HopDurations()
    for number in range(23):
        durations.observe(make_key(number), (700, 1, TRACE_ID), 0)
    durations.observe(make_key(99, "vxlan-encap"), (700, 1, TRACE_ID), 0)
    found = {key: sum(series.counts) for key, series in durations.read()}
    assert found == {
        make_key(0): 1,
        make_key(1): 1,
        make_key(2): 1,
        ("underlay", "request", OTHER, OTHER, OTHER): 20,
        ("vxlan-encap", "request", OTHER, OTHER, OTHER): 1,
    }


def test_idle_combination_gives_its_place_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes come and go: after an hour without a hop the place is free, if another wants it."""
    monkeypatch.setattr(hop_durations, "MAX_SERIES", 2)
    durations = HopDurations()
    durations.observe(make_key(1), (700, 1, TRACE_ID), 0)
    durations.observe(make_key(2), (700, 1, TRACE_ID), RETRY_NS)
    durations.observe(make_key(3), (700, 1, TRACE_ID), IDLE_NS - 1)
    assert durations.forgotten == 0
    # Looked for again no sooner than a while later, though it is idle now.
    durations.observe(make_key(3), (700, 1, TRACE_ID), IDLE_NS)
    assert durations.forgotten == 0
    durations.observe(make_key(3), (700, 1, TRACE_ID), IDLE_NS + RETRY_NS - 1)
    assert durations.forgotten == 1
    assert make_key(1) not in dict(durations.read())
    assert sum(dict(durations.read())[make_key(3)].counts) == 1
