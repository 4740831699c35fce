"""Rounds of question 1 become measures: quantiles, medians by variant, and ratios within each round."""

import itertools
from random import Random

import pytest

from evaluation.question import Effort
from evaluation.relocation_plans import PLANS
from evaluation.relocation_runs import (
    AGAIN,
    CLOSED_LOOP,
    FIRST,
    LAST,
    THROUGHPUT,
    UNTRACED,
    VARIANTS,
    Round,
    describe_blocks,
    find_quantiles,
    list_measures,
    order_variants,
    plan_sendings,
)
from tests.kernel.packets import http_request, traced_request

MS = 1_000_000


def make_chance(seed: int = 1) -> Random:
    """Return the same chance each time."""
    return Random(seed)  # noqa: S311


def make_round(last: float, again: float, first: float, untraced: float) -> Round:
    """Return a round with one level and one measure."""
    figures = {LAST: last, AGAIN: again, FIRST: first, UNTRACED: untraced}
    return {CLOSED_LOOP: {variant: {THROUGHPUT: figure} for variant, figure in figures.items()}}


def test_plan_is_that_of_its_chance() -> None:
    """The same seed gives the same times; others give others, at the same rate."""
    plans = [plan_sendings(1000, 2, make_chance(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    for plan in plans:
        assert plan == sorted(plan)
        assert 1800 < len(plan) < 2200
        assert 0 <= plan[0] <= plan[-1] < 2e9


def test_order_of_the_turns_is_balanced() -> None:
    """In four turns each variant is once in each place, and once right behind each other one."""
    orders = [order_variants(number) for number in range(4)]
    for place in zip(*orders, strict=True):
        assert set(place) == set(VARIANTS)
    followers = [pair for order in orders for pair in itertools.pairwise(order)]
    assert sorted(followers) == sorted(itertools.permutations(VARIANTS, 2))
    assert order_variants(4) == orders[0]


@pytest.mark.parametrize("effort", Effort)
def test_every_plan_is_of_balanced_turns(effort: Effort) -> None:
    """All rounds together; else what a turn's place does would be taken for what its variant does."""
    plan = PLANS[effort]
    for turns in (*(each.number for each in plan.open_turns.values()), *plan.closed_turns.values()):
        assert plan.rounds * turns % 4 == 0


def test_quantiles_are_in_milliseconds() -> None:
    """Each is a time that occurred; of no answers there is none."""
    assert find_quantiles([number * MS for number in range(100, 0, -1)]) == {"p50": 50, "p90": 90, "p99": 99}
    assert find_quantiles([]) == {}


def test_ratios_are_those_of_each_round() -> None:
    """The machine's slow minute, in which all variants are ten times as slow, changes no ratio."""
    rounds = [make_round(*(speed * figure for figure in (100, 101, 98, 125))) for speed in (1, 0.1, 1)]
    (measure,) = list_measures("ride", rounds, make_chance())
    assert (measure.load, measure.level, measure.name) == ("ride", CLOSED_LOOP, THROUGHPUT)
    assert measure.medians == {LAST: 100, AGAIN: 101, FIRST: 98, UNTRACED: 125}
    assert round(measure.control.median, 6) == round(measure.control.high, 6) == 1.01
    assert round(measure.relocation.median, 6) == round(measure.relocation.low, 6) == 0.98
    assert round(measure.tracing.median, 6) == round(measure.tracing.high, 6) == 0.8


def test_round_without_an_answer_has_no_part() -> None:
    """A variant that answered nothing has no quantile, so its round is no pair."""
    silent = {CLOSED_LOOP: {**make_round(7, 7, 7, 7)[CLOSED_LOOP], FIRST: {}}}
    whole = [make_round(100, 100, 100, 100), make_round(100, 100, 100, 100)]
    (measure,) = list_measures("ride", [*whole, silent], make_chance())
    assert measure.medians[LAST] == 100
    assert list(list_measures("ride", [whole[0], silent], make_chance())) == []


def test_each_level_and_quantile_is_a_measure() -> None:
    """In the order in which they were measured."""
    figures = find_quantiles(range(MS, 100 * MS, MS))
    levels = {level: dict.fromkeys(VARIANTS, figures) for level in ("50%", "80%")}
    measures = list_measures("call", [levels, levels], make_chance())
    assert [(measure.level, measure.name) for measure in measures] == [
        (level, name) for level in ("50%", "80%") for name in ("p50", "p90", "p99")
    ]


def test_blocks_without_a_context_are_no_part_of_the_shares() -> None:
    """What was not traced cannot be read by any window."""
    blocks = [traced_request(), traced_request(padding=200), http_request("accept: */*")]
    described = describe_blocks(LAST, blocks)
    assert described
    assert described.count == 2
    assert described.shares == {128: 0.5, 256: 0.5, 512: 1.0, 1024: 1.0}
    assert described.size_bytes[0] == len(blocks[0])
    assert described.size_bytes[2] == len(blocks[1])
    assert described.context_end_bytes[2] - described.context_end_bytes[0] == len("x-padding: \r\n") + 200
    assert describe_blocks(UNTRACED, blocks[2:]) is None
