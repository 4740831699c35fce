"""Question 2: is eBPF as good a clock as tcpdump? Both stamp the same packets at the same devices of the testbed.

hopspan's clock is its programs with a reader that keeps every record; what is missed, the whole node-probe tells.
"""

import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

from evaluation.clock_missed import ROUNDS as MISSED_ROUNDS
from evaluation.clock_missed import SETTLE_S, run_missed
from evaluation.clock_rounds import (
    BOTH,
    HOPSPAN,
    OFF,
    PERCENTS,
    SHARES,
    TCPDUMP,
    ClockRound,
    Times,
    compare_clocks,
    judge_hops,
    judge_latencies,
    judge_missed,
    judge_points,
    list_whole,
    time_hops,
)
from evaluation.machine import describe_machine
from evaluation.question import Effort, Question, Tell
from evaluation.results_clock import ClockResult
from evaluation.wrk_bench import list_missing, running_bench
from testbed.deadline import pause
from testbed.errors import TestbedError
from testbed.load import Rhythm, run_load
from testbed.stamps import OffsetLine, Stamps, capture_options, read_captured, read_offset, read_recorded
from testbed.variants import running_captures, running_readers

ROUNDS = {Effort.QUICK: 4, Effort.FULL: 21}
SECONDS_PER_RUN = 2
BUDGET_S = {Effort.QUICK: 150, Effort.FULL: 720}

QUIET = Rhythm(8, 9)
"""Some 800 exchanges a second, which find caches cold and CPUs asleep, as most requests of a cluster do."""

_LEAST_MESSAGES = 100
"""In a run: fewer say that load or reading failed."""


GROUPS = ((OFF, TCPDUMP), (HOPSPAN, BOTH))
"""Of a round's runs: compiling takes longer than a run, so the programs are loaded once a round."""


class _Run(NamedTuple):
    line: OffsetLine
    tcpdump: Stamps
    latency_us: dict[float, float]


def answer(effort: Effort, work_dir: Path, tell: Tell) -> ClockResult:
    """Run both clocks alone and together in alternating rounds, then each under growing load. Raises TestbedError."""
    head, started_s = describe_machine(effort), time.monotonic()
    with running_bench(work_dir) as bench:
        run_load(work_dir, 1, 100, QUIET)  # caches and connections are cold
        rounds = []
        for number in range(ROUNDS[effort]):
            tell(f"round {number + 1} of {ROUNDS[effort]}")
            rounds.append(_run_round(work_dir, number))
        missed = run_missed(bench, effort, tell)
    return ClockResult(
        head=head,
        rounds=len(rounds),
        seconds_per_run=SECONDS_PER_RUN,
        messages=sum(one.both.count for one in rounds),
        incomplete=sum(one.both.incomplete for one in rounds),
        missed_rounds=MISSED_ROUNDS[effort],
        seconds=round(time.monotonic() - started_s, 1),
        shares=SHARES,
        hops=judge_hops(rounds),
        points=judge_points(rounds),
        observed=judge_latencies(rounds),
        missed=judge_missed(missed),
    )


def _run_round(work_dir: Path, number: int) -> ClockRound:
    step = 1 if number % 2 == 0 else -1
    runs: dict[str, _Run] = {}
    for group in GROUPS[::step]:
        with running_readers(work_dir, keep=True) if HOPSPAN in group else nullcontext():
            runs |= {state: _run_state(work_dir, state) for state in group[::step]}
    recorded = read_recorded(work_dir)
    hopspan = {state: runs[state].line.convert(recorded) for state in (HOPSPAN, BOTH)}
    both = compare_clocks(hopspan[BOTH], runs[BOTH].tcpdump)
    if both.count < _LEAST_MESSAGES:
        raise TestbedError(f"{both.count} messages were seen at all points by both clocks")
    return ClockRound(
        hopspan_alone=_time_whole(hopspan[HOPSPAN]),
        tcpdump_alone=_time_whole(runs[TCPDUMP].tcpdump),
        both=both,
        latencies_us={state: run.latency_us for state, run in runs.items()},
    )


def _run_state(work_dir: Path, state: str) -> _Run:
    """Let the load run, with tcpdump where the state has it. Raises TestbedError where tcpdump missed packets."""
    first = read_offset()
    with ExitStack() as stack:
        captures = None
        if state in {TCPDUMP, BOTH}:
            captures = stack.enter_context(running_captures(work_dir, *capture_options(work_dir)))
        load = run_load(work_dir, SECONDS_PER_RUN, 100, QUIET)
        if captures:
            pause(SETTLE_S)
    line = OffsetLine(first, read_offset())
    if captures and any(count["dropped"] for count in captures.counts):
        raise TestbedError("a capture lost packets of a quiet load")
    latency_us = {percent: float(load.latency_us[percent]) for percent in PERCENTS}
    return _Run(line, read_captured(work_dir) if captures else {}, latency_us)


def _time_whole(stamps: Stamps) -> Times:
    keys = list_whole(stamps)
    if len(keys) < _LEAST_MESSAGES:
        raise TestbedError(f"{len(keys)} messages were seen at all points")
    return time_hops(stamps, keys)


QUESTION = Question("clock", "Is eBPF as good a clock as tcpdump?", BUDGET_S, list_missing, answer)
