"""What a fault did is told by what grew in paired runs, and beyond chance alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.fault_runs import Pair, Run, Story, find_grown, judge_fault
from evaluation.results_faults import Growth
from evaluation.segments import Exchange
from evaluation.values import Estimate

SLOW, OTHER, RARE = "host-forward (request, node-1)", "underlay (request, node-1)", "request sent again"
STORY = Story("rules", "many rules", "by the wire", (SLOW,))
ROUNDS = 5
REQUESTS = 3


def make_run(slow_us: float, other_us: float = 10, *, true_us: float = 0, calls: int = REQUESTS) -> Run:
    """Return a run whose calls all took the same."""
    segments = {SLOW: round(slow_us * 1e3), OTHER: round(other_us * 1e3)}
    call = Exchange(segments, sum(segments.values()) + 5000, 0, 0, is_numbered=True)
    return Run([call] * calls, REQUESTS, true_us * 1e3)


@given(st.floats(1, 1e6), st.floats(0, 1e5))
def test_growth_is_measured_beside_what_drifts(delay_us: float, drift_us: float) -> None:
    """The slow segment grows by the delay, however long all took in that round; error and gap follow."""
    pairs = [
        Pair(make_run(5 + drift_us * number), make_run(5 + drift_us * number + delay_us, true_us=delay_us))
        for number in range(ROUNDS)
    ]
    result = judge_fault(STORY, pairs)
    assert (result.found, result.is_found) == ((SLOW,), True)
    assert result.measured_us.median == pytest.approx(delay_us, abs=0.01)
    assert result.gap_us.median == pytest.approx(delay_us, abs=0.01)
    assert result.error_us.median == pytest.approx(0, abs=0.01)


def test_what_others_measured_is_not_taken_for_granted() -> None:
    """A true delay of which half shows is an error of the other half."""
    pairs = [Pair(make_run(5), make_run(55, true_us=100)) for _ in range(ROUNDS)]
    assert judge_fault(STORY, pairs).error_us == Estimate(-50, -50, -50)


def test_segment_that_is_not_there_took_no_time() -> None:
    """A request that is never sent again without the fault has grown from nothing."""
    again = Exchange({RARE: 200_000_000, SLOW: 5000}, 0, 0, 0, is_numbered=False)
    pairs = [Pair(make_run(5), Run([again] * REQUESTS, REQUESTS, 2e8)) for _ in range(ROUNDS)]
    result = judge_fault(STORY, pairs)
    assert result.found == (RARE,)
    assert not result.is_found
    assert result.unnumbered == ROUNDS * REQUESTS


def test_calls_that_lack_hops_are_counted() -> None:
    """What is left out is told."""
    pairs = [Pair(make_run(5), make_run(50, calls=1)) for _ in range(ROUNDS)]
    result = judge_fault(STORY, pairs)
    assert (result.requests, result.incomplete) == (2 * ROUNDS * REQUESTS, 2 * ROUNDS)


@pytest.mark.parametrize(
    ("growths_us", "found"),
    [
        ({SLOW: (100, 90, 110), OTHER: (5, 1, 9)}, (SLOW,)),
        ({SLOW: (100, 90, 110), OTHER: (60, 55, 70)}, (SLOW, OTHER)),
        ({SLOW: (60, 55, 70), OTHER: (100, 90, 110)}, (OTHER, SLOW)),
        ({SLOW: (100, -1, 110), OTHER: (5, 1, 9)}, (OTHER,)),
        ({SLOW: (-100, -110, -90)}, ()),
        ({}, ()),
    ],
    ids=["one grew", "both grew", "most first", "only chance", "shrank", "nothing"],
)
def test_grown_is_what_grew_beyond_chance(
    growths_us: dict[str, tuple[float, float, float]], found: tuple[str, ...]
) -> None:
    """The largest growth, and those of at least half of it; an interval that holds 0 is no growth."""
    growths = {name: Growth(name, 0, 0, Estimate(*values)) for name, values in growths_us.items()}
    assert find_grown(growths) == found
