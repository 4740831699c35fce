"""What is known of the clock's steps and of losses, as small tables."""

import pytest

from node_probe.epoch_history import EpochHistory, Span
from node_probe.loss_history import LATE_NS, LossHistory

S, MS = 10**9, 10**6
EPOCH_NS = 1_700_000_000 * S


def test_interval_by_one_offset() -> None:
    """Readings narrow the offset down: each is right within its error."""
    epochs = EpochHistory()
    assert epochs.place(EPOCH_NS, EPOCH_NS) is None
    epochs.observe(10 * S, EPOCH_NS + 100, 300)
    epochs.observe(11 * S, EPOCH_NS - 100, 250)
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S - 150, 6 * S + 200)


def test_step_back_makes_times_of_both_offsets() -> None:
    """After a step back the wall clock shows the same times again: the interval reaches over both."""
    epochs = EpochHistory()
    epochs.observe(10 * S, EPOCH_NS, 0)
    epochs.observe(10 * S + 100 * MS, EPOCH_NS - S, 0)
    assert epochs.place(EPOCH_NS + 9 * S + MS, EPOCH_NS + 9 * S + 2 * MS) == Span(9 * S + MS, 10 * S + 100 * MS)
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S, 6 * S)
    assert epochs.place(EPOCH_NS + 20 * S, EPOCH_NS + 21 * S) == Span(21 * S, 22 * S)


def test_old_offsets_are_forgotten() -> None:
    """Two minutes after a step nobody asks for what was before."""
    epochs = EpochHistory()
    epochs.observe(10 * S, EPOCH_NS, 0)
    epochs.observe(11 * S, EPOCH_NS + 100 * S, 0)
    assert epochs.place(EPOCH_NS + 5 * S, EPOCH_NS + 6 * S) == Span(5 * S, 6 * S)
    epochs.observe(140 * S, EPOCH_NS + 100 * S, 0)
    assert epochs.place(EPOCH_NS + 130 * S, EPOCH_NS + 131 * S) == Span(30 * S, 31 * S)


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
