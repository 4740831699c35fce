"""The line between two sets of bounds: where the way between them is narrowest."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from collector_plugin.clock_line import MAX_SLOPE, Line, Points, fit_line
from tests.collector_plugin.builders import SECOND, US


def make_points(slope: float, constant_us: int, late_us: list[int], start_s: int = 0) -> Points:
    """Return a bound a second, each above the line by a wire of 10 us and by its delay."""
    times = [(start_s + number) * SECOND for number in range(len(late_us))]
    return times, [
        round(constant_us * US + slope * at_ns) + (10 + late) * US for at_ns, late in zip(times, late_us, strict=True)
    ]


@pytest.mark.parametrize("slope", [0.0, 3e-6, 97e-6, -97e-6])
def test_drift_is_found_among_delays(slope: float) -> None:
    """Two prompt messages in each direction show it, however late the others are."""
    line = fit_line(
        make_points(slope, 5_000, [0, 900, 20, 450, 70, 0, 33]),
        make_points(-slope, -5_000, [8, 0, 70, 400, 0, 55, 600]),
    )
    assert line is not None
    assert line.slope == pytest.approx(slope, abs=1e-9)
    assert abs(line.read(100 * SECOND) - (5_000 * US + slope * 100 * SECOND)) < US


def test_middle_is_between_ways_that_differ() -> None:
    """Whatever one direction takes longer lies half in the difference: it cannot be told from the stamps."""
    line = fit_line(make_points(0.0, 0, [40, 40, 40]), make_points(0.0, 0, [0, 0, 0]))
    assert line is not None
    assert line == Line(line.at_ns, 20 * US, 0.0)


def test_bounds_that_leave_no_room_have_no_line() -> None:
    """As where the drift changed: no straight line fits."""
    bent = make_points(0.0, 0, [300, 100, 0, 100, 300]), make_points(0.0, 0, [-300, -100, 0, -100, -300])
    assert fit_line(*bent) is None
    assert fit_line(make_points(0.0, -50, [0, 0]), make_points(0.0, 0, [0, 0])) is None


def test_too_few_bounds_have_no_line() -> None:
    """One message has no slope, and directions at different times do not show the same."""
    two = make_points(0.0, 0, [0, 0])
    assert fit_line(two, make_points(0.0, 0, [0])) is None
    assert fit_line(make_points(0.0, 0, []), two) is None
    assert fit_line(two, make_points(0.0, 0, [0, 0], start_s=7)) is None


def test_clocks_that_part_too_fast_have_no_line() -> None:
    """More than clocks drift is something else."""
    assert fit_line(make_points(5e-4, 0, [0, 0, 0]), make_points(-5e-4, 0, [0, 0, 0])) is None


LATE = st.lists(st.integers(0, 5_000), min_size=2, max_size=30)


@given(st.floats(-1e-4, 1e-4), st.integers(-(10**9), 10**9), LATE, LATE, st.integers(0, 1))
def test_line_keeps_within_all_bounds(
    slope: float, constant_us: int, one: list[int], other: list[int], at: int
) -> None:
    """Where it is read within them, whatever delays there were, and it is never steeper than clocks drift."""
    uppers = make_points(slope, constant_us, one)
    opposites = make_points(-slope, -constant_us, other, start_s=at)
    line = fit_line(uppers, opposites)
    # Of few and late messages the narrowest place may be steeper than clocks drift.
    assume(line is not None)
    assert line is not None
    assert abs(line.slope) <= MAX_SLOPE
    start_ns, end_ns = max(uppers[0][0], opposites[0][0]), min(uppers[0][-1], opposites[0][-1])
    for sign, (times, bounds) in ((1, uppers), (-1, opposites)):
        for at_ns, bound_ns in zip(times, bounds, strict=True):
            if start_ns <= at_ns <= end_ns:
                assert sign * line.read(at_ns) <= bound_ns + 2


def test_hull_of_many_points_is_exact() -> None:
    """The narrowest place is that which trying every slope finds."""
    rng = random.Random(9)  # noqa: S311 - the same delays every time
    late = [[rng.randrange(400) for _ in range(50)] for _ in range(2)]
    uppers, opposites = make_points(2e-5, 70, late[0]), make_points(-2e-5, -70, late[1])
    line = fit_line(uppers, opposites)
    assert line is not None

    def room_ns(slope: float) -> float:
        above = min(bound - slope * at for at, bound in zip(*uppers, strict=True))
        below = min(bound + slope * at for at, bound in zip(*opposites, strict=True))
        return above + below

    best = max((step * 1e-8 for step in range(-10_000, 10_001)), key=room_ns)
    assert line.slope == pytest.approx(best, abs=2e-8)
