"""What is known of the clock's steps and of losses, as small tables."""

import pytest

from node_probe.epoch_history import LATE_NS as LATE_STEP_NS
from node_probe.epoch_history import MAX_OFFSETS, EpochHistory, EpochReading, Span
from node_probe.loss_history import LATE_NS, LossHistory
from tests.node_probe.epochs import read_epoch

S, MS = 10**9, 10**6
EPOCH_NS = 1_700_000_000 * S


def test_interval_by_one_offset() -> None:
    """Readings narrow the offset down: each is right within its error."""
    epochs = EpochHistory()
    assert epochs.place(EPOCH_NS, EPOCH_NS) is None
    epochs.observe(read_epoch(10 * S, EPOCH_NS + 100, 300))
    epochs.observe(read_epoch(11 * S, EPOCH_NS - 100, 250))
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S - 150, 6 * S + 200)


def test_step_back_makes_times_of_both_offsets() -> None:
    """After a step back the wall clock shows the same times again: the interval reaches over both."""
    epochs = EpochHistory()
    epochs.observe(read_epoch(10 * S, EPOCH_NS))
    epochs.observe(read_epoch(10 * S + 100 * MS, EPOCH_NS - S))
    assert epochs.place(EPOCH_NS + 9 * S + MS, EPOCH_NS + 9 * S + 2 * MS) == Span(9 * S + MS, 10 * S + 100 * MS)
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S, 6 * S)
    assert epochs.place(EPOCH_NS + 20 * S, EPOCH_NS + 21 * S) == Span(21 * S, 22 * S)


def test_old_offsets_are_forgotten() -> None:
    """Two minutes after a step nobody asks for what was before."""
    epochs = EpochHistory()
    epochs.observe(read_epoch(10 * S, EPOCH_NS))
    epochs.observe(read_epoch(11 * S, EPOCH_NS + 100 * S))
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S, 6 * S)
    epochs.observe(read_epoch(140 * S, EPOCH_NS + 100 * S))
    assert epochs.place(EPOCH_NS + 130 * S, EPOCH_NS + 131 * S) == Span(30 * S, 31 * S)


def test_step_that_was_taken_back_unseen_makes_any_time_one_of_then() -> None:
    """Between two looks the clock was set twice: a span of then may bear any time, until nobody asks for it."""
    epochs = EpochHistory()
    epochs.observe(read_epoch(10 * S, EPOCH_NS, 100, sets=4))
    epochs.observe(read_epoch(10 * S + 100 * MS, EPOCH_NS - 50, 100, sets=6))
    unknown = Span(10 * S - LATE_STEP_NS, 10 * S + 100 * MS)
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S - 50, unknown.end_ns)
    assert epochs.place(EPOCH_NS + 20 * S, EPOCH_NS + 21 * S) == Span(unknown.start_ns, 21 * S + 100)
    assert epochs.place(EPOCH_NS + 90 * S, EPOCH_NS + 91 * S) == Span(unknown.start_ns, 91 * S + 100)
    epochs.observe(read_epoch(131 * S, EPOCH_NS, 100, sets=6))
    assert epochs.place(EPOCH_NS + 90 * S, EPOCH_NS + 91 * S) == Span(90 * S - 50, 91 * S + 100)


@pytest.mark.parametrize(
    "readings",
    [
        [(0, 0), (0, 1), (0, 2)],
        [(0, 0), (50, 1), (50, 2)],
        [(0, 0), (50, 0), (0, 2), (0, 2)],
        [(0, 0), (0, 2), (0, 2)],
    ],
    ids=["back before it counts", "on before it counts", "back, and both count late", "both within one look"],
)
def test_step_that_counts_late_is_not_missed(readings: list[tuple[int, int]]) -> None:
    """The kernel shows a step first, and counts it then: a look may fall between, and all before is unknown."""
    epochs = EpochHistory()
    for number, (offset_s, sets) in enumerate(readings):
        epochs.observe(read_epoch(10 * S + number * 100 * MS, EPOCH_NS + offset_s * S, sets=sets))
    found = epochs.place(EPOCH_NS + 90 * S, EPOCH_NS + 90 * S)
    assert found is not None
    assert found.start_ns <= 10 * S
    assert found.end_ns >= 10 * S + 100 * MS


def test_ordinary_step_leaves_nothing_unknown_but_when_it_came() -> None:
    """It shows and counts at once; nothing else is between the looks."""
    epochs = EpochHistory()
    epochs.observe(read_epoch(10 * S, EPOCH_NS))
    epochs.observe(read_epoch(10 * S + 100 * MS, EPOCH_NS + 50 * S, sets=1))
    epochs.observe(read_epoch(10 * S + 200 * MS, EPOCH_NS + 50 * S, sets=1))
    assert epochs.place(EPOCH_NS + 90 * S, EPOCH_NS + 91 * S) == Span(40 * S, 41 * S)


def test_step_amid_a_reading_counts_with_both_neighbours() -> None:
    """Whether it came before or behind the offset is not known, so it may be one of several on either side."""
    epochs = EpochHistory()
    epochs.observe(read_epoch(10 * S, EPOCH_NS))
    epochs.observe(EpochReading(11 * S, 11 * S + MS, EPOCH_NS + 100 * S, 0, 1, 2))
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S, 11 * S + MS)
    epochs.observe(read_epoch(12 * S, EPOCH_NS, sets=3))
    assert epochs.place(EPOCH_NS + 14 * S, EPOCH_NS + 14 * S) == Span(10 * S - LATE_STEP_NS, 14 * S)


def test_clock_that_is_stepped_all_the_time_names_nothing_surely() -> None:
    """Of more steps than are remembered the time is unknown: it is within what any time may stand for."""
    epochs = EpochHistory()
    for number in range(MAX_OFFSETS + 6):
        epochs.observe(read_epoch(10 * S + number * 100 * MS, EPOCH_NS + number * S, sets=number))
    found = epochs.place(EPOCH_NS + 500 * S, EPOCH_NS + 500 * S)
    assert found is not None
    assert found.start_ns <= 10 * S
    for at_s in (17, 200):
        epochs.observe(read_epoch(at_s * S, EPOCH_NS, sets=MAX_OFFSETS + 6))
    assert epochs.place(EPOCH_NS + 190 * S, EPOCH_NS + 190 * S) == Span(190 * S, 190 * S)


@pytest.mark.parametrize(
    ("start_s", "end_s", "is_whole"),
    [
        (12, 13, True),
        (9, 13, False),
        (12, 29, False),
        (19, 21, False),
        (20, 22, False),
        (21, 22, True),
        (17, 18, True),
        (24, 26, True),
    ],
)
def test_lossy_times(start_s: int, end_s: int, *, is_whole: bool) -> None:
    """Begun at 10 s, read up to 30 s; something was lost between the looks at 20 s and 21 s, or a little before."""
    losses = LossHistory()
    for at_s, total in ((10, 5), (20, 5), (21, 6), (30, 6)):
        losses.observe(at_s * S, at_s * S + MS, total)
    assert LATE_NS == 1_500_000_000
    assert losses.is_whole(start_s * S + 2 * MS, end_s * S) is is_whole
