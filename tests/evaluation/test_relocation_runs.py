"""Rounds of question 1 become measures: quantiles, medians by variant, and ratios within each round."""

from random import Random

from evaluation.relocation_runs import (
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
    plan_sendings,
    plan_turns,
)
from tests.kernel.packets import http_request, traced_request

MS = 1_000_000


def make_chance(seed: int = 1) -> Random:
    """Return the same chance each time."""
    return Random(seed)  # noqa: S311


def make_round(last: float, first: float, untraced: float, level: str = CLOSED_LOOP) -> Round:
    """Return a round with one level and one measure."""
    return {level: {LAST: {THROUGHPUT: last}, FIRST: {THROUGHPUT: first}, UNTRACED: {THROUGHPUT: untraced}}}


def test_plan_is_that_of_its_chance() -> None:
    """The same seed gives the same times; others give others, at the same rate."""
    plans = [plan_sendings(1000, 2, make_chance(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    for plan in plans:
        assert plan == sorted(plan)
        assert 1800 < len(plan) < 2200
        assert 0 <= plan[0] <= plan[-1] < 2e9


def test_variants_take_turns_at_the_same_times() -> None:
    """One after the other without a pause, in another order each time."""
    planned = plan_turns(100, 0.5, 4, 0, make_chance())
    assert planned == sorted(planned)
    assert planned[-1][0] < 6e9
    by_turn = [[at for at in planned if at[0] // 500_000_000 == turn] for turn in range(12)]
    orders = []
    for first in range(0, 12, 3):
        turns = by_turn[first : first + 3]
        orders.append(tuple(turn[0][1] for turn in turns))
        assert len({tuple(time_ns % 500_000_000 for time_ns, _ in turn) for turn in turns}) == 1
        assert all(len({variant for _, variant in turn}) == 1 for turn in turns)
    assert len(set(orders)) == 4
    assert all(set(order) == set(VARIANTS) for order in orders)


def test_quantiles_are_in_milliseconds() -> None:
    """Each is a time that occurred; of no answers there is none."""
    assert find_quantiles([number * MS for number in range(100, 0, -1)]) == {"p50": 50, "p90": 90, "p99": 99}
    assert find_quantiles([]) == {}


def test_ratios_are_those_of_each_round() -> None:
    """The machine's slow minute, in which all variants are ten times as slow, changes no ratio."""
    rounds = [make_round(100, 98, 125), make_round(10, 9.8, 12.5), make_round(100, 98, 125)]
    (measure,) = list_measures("ride", rounds, make_chance())
    assert (measure.load, measure.level, measure.name) == ("ride", CLOSED_LOOP, THROUGHPUT)
    assert measure.medians == {LAST: 100, FIRST: 98, UNTRACED: 125}
    assert round(measure.relocation.median, 6) == round(measure.relocation.low, 6) == 0.98
    assert round(measure.tracing.median, 6) == round(measure.tracing.high, 6) == 0.8


def test_round_without_an_answer_has_no_part() -> None:
    """A variant that answered nothing has no quantile, so its round is no pair."""
    silent = {CLOSED_LOOP: {LAST: {THROUGHPUT: 7.0}, FIRST: {}, UNTRACED: {THROUGHPUT: 7.0}}}
    whole = [make_round(100, 100, 100), make_round(100, 100, 100)]
    (measure,) = list_measures("ride", [*whole, silent], make_chance())
    assert measure.medians[LAST] == 100
    assert list(list_measures("ride", [whole[0], silent], make_chance())) == []


def test_each_level_and_quantile_is_a_measure() -> None:
    """In the order in which they were measured."""
    figures = find_quantiles(range(MS, 100 * MS, MS))
    levels = {level: dict.fromkeys((LAST, FIRST, UNTRACED), figures) for level in ("50%", "80%")}
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
