"""Judges question 1's measures: what they say of the claim beside the control, and what speaks against it. Pure."""

from collections.abc import Iterator, Sequence

from evaluation.relocation_runs import FIRST, LAST, THROUGHPUT
from evaluation.results_relocation import Measure, RelocationResult
from evaluation.values import Estimate

EQUIVALENT = 0.05
"""A change whose whole interval lies within it is taken for none. The paper's "no significant change" has no number;
this one is ours."""

_P99_NEEDS = 100
"""Requests of which one may be slower."""

EQUIVALENT_TEXT = f"{100 * EQUIVALENT:.0f} %"


def judge(ratio: Estimate, control: Estimate) -> str:
    """Return what a ratio says of the claim, beside that of the control."""
    if ratio.low >= 1 - EQUIVALENT and ratio.high <= 1 + EQUIVALENT:
        return "no change"
    if _leaves_out_same(ratio) and not control.low <= ratio.median <= control.high:
        return "change"
    return "open"


def is_worse(measure: Measure) -> bool:
    """Tell whether the relocation made the measure worse, beyond chance and beyond EQUIVALENT."""
    is_higher = measure.relocation.median > 1
    return judge_measure(measure) == "change" and is_higher == (measure.name != THROUGHPUT)


def judge_measure(measure: Measure) -> str:
    """Return what a measure says of the claim."""
    return judge(measure.relocation, measure.control)


def _leaves_out_same(ratio: Estimate) -> bool:
    return ratio.low > 1 or ratio.high < 1


def list_doubts(answer: RelocationResult) -> list[str]:
    """Return what speaks against the claim, a sentence each."""
    doubts = [
        f"{_name(measure)}: worse with the context first, {format_change(measure.relocation)}"
        for measure in answer.measures
        if is_worse(measure)
    ]
    doubts += _list_of_control(answer.measures)
    judged = [judge_measure(measure) for measure in answer.measures]
    if count := judged.count("open"):
        doubts.append(
            f"{count} of {len(judged)} comparisons are open: they show no change beyond 1 and the control, and their "
            f"intervals are too wide to say that nothing changed by {EQUIVALENT_TEXT}"
        )
    head = answer.head
    if head.load_average > head.cores:
        doubts.append(
            f"others used the machine as well (load average {head.load_average} on {head.cores} cores at the start), "
            "so latencies and throughput are those of a machine that is short of CPU time"
        )
    for load in answer.loads:
        # Two open loops a round.
        a_run = min(load.asked.values()) // (2 * answer.rounds)
        if a_run < _P99_NEEDS:
            doubts.append(
                f"{load.name}: p99 is the slowest of the some {a_run} requests of a round, level and variant"
            )
        doubts += [
            f"{load.name}, {variant}: {failed} of {load.asked[variant]} requests of the open loops failed"
            for variant, failed in load.failed.items()
            if failed
        ]
    doubts += _list_needless(answer)
    return doubts


def format_change(ratio: Estimate) -> str:
    """Return a ratio as a change in percent, with its interval."""
    median, low, high = (100 * (value - 1) for value in (ratio.median, ratio.low, ratio.high))
    return f"{median:+.1f} % ({low:+.1f} to {high:+.1f})"


def _list_of_control(measures: Sequence[Measure]) -> Iterator[str]:
    """Yield where the control moves, and what is no change on its account alone."""
    moved = [measure for measure in measures if _leaves_out_same(measure.control)]
    if moved:
        names = "; ".join(f"{_name(measure)} {format_change(measure.control)}" for measure in moved)
        yield (
            f"the control, which changes nothing, differs beyond its interval in {len(moved)} of {len(measures)} "
            f"measures (by chance one of 20 does, and more where rounds are few): {names}"
        )
    for measure in measures:
        if judge_measure(measure) == "open" and _leaves_out_same(measure.relocation):
            yield (
                f"{_name(measure)}: {format_change(measure.relocation)} is open because the control reaches as far, "
                f"{format_change(measure.control)}"
            )


def _list_needless(answer: RelocationResult) -> Iterator[str]:
    """Yield where the relocation brings nothing, or too little."""
    for blocks in answer.blocks:
        too_small = [window for window, share in blocks.shares.items() if share < 1]
        if blocks.variant == FIRST and too_small:
            share = blocks.shares[max(too_small)]
            yield (
                f"a window of {max(too_small)} bytes reads {100 * share:.0f} % of the contexts even with the "
                "relocation: the request line and Host stand before them"
            )
        enough = [window for window, share in blocks.shares.items() if share == 1]
        if blocks.variant == LAST and enough:
            yield (
                f"HotROD's header blocks are short: a window of {min(enough)} bytes reads all contexts without the "
                "relocation"
            )
    one_segment = [cost for cost in answer.search if cost.segments == 1]
    if one_segment and not any(cost.growth_ns.low > 0 for cost in one_segment):
        yield "within one segment the kernel's search is not shorter beyond chance with the context at the head"


def _name(measure: Measure) -> str:
    return f"{measure.load}, {measure.level}, {measure.name}"
