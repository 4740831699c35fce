"""Question 6: how the costs grow, of the probe with the pods of a node, of the plugin with the transits that wait.

Sizes take turns in each round, up and down by turns.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from evaluation.machine import describe_machine
from evaluation.question import Effort, Question, Tell
from evaluation.results_scale import Curve, Fill, ScaleResult
from evaluation.scale_curves import (
    FIRST_POINT,
    IDLE,
    LOADED,
    MEMORY,
    SPAN,
    START,
    START_CPU,
    TRANSIT,
    make_curve,
    order_sizes,
)
from evaluation.scale_probe import EXCHANGES_PER_S, Visit, running_sink, visit_agent
from testbed.crowd import crowded_node
from testbed.demo import find_missing
from testbed.join_process import join_process

PODS = {Effort.QUICK: (2, 50, 200), Effort.FULL: (2, 20, 50, 100, 200)}
PROBE_ROUNDS = {Effort.QUICK: 3, Effort.FULL: 8}
VISIT_S = {Effort.QUICK: 1.5, Effort.FULL: 3.0}
"""How long an agent is left alone, and then given work."""

PENDING = (1_000, 10_000, 100_000, 250_000, 1_000_000)
"""A plugin keeps 250,000."""

PLUGIN_ROUNDS = {Effort.QUICK: 5, Effort.FULL: 15}
BATCHES = {Effort.QUICK: 50, Effort.FULL: 100}
"""Of 20 exchanges, in a round."""

BUDGET_S = {Effort.QUICK: 180, Effort.FULL: 900}

_PROBE_CURVES = (START, START_CPU, MEMORY, IDLE, LOADED, FIRST_POINT, TRANSIT)


def answer(
    effort: Effort, work_dir: Path, tell: Tell, pods: Sequence[int] = (), pending: Sequence[int] = PENDING
) -> ScaleResult:
    """Measure at all sizes, in alternating rounds. Raises TestbedError."""
    head, started_s = describe_machine(effort), time.monotonic()
    work_dir.mkdir(parents=True, exist_ok=True)
    visits = _visit_agents(effort, work_dir, tell, pods or PODS[effort])
    span_curve, fills = _ask_joins(effort, tell, pending)
    all_visits = [visit for one in visits for visit in one.values()]
    return ScaleResult(
        head=head,
        probe_rounds=PROBE_ROUNDS[effort],
        plugin_rounds=PLUGIN_ROUNDS[effort],
        exchanges_per_s=EXCHANGES_PER_S,
        transits=sum(visit.transits for visit in all_visits),
        lost=sum(visit.lost for visit in all_visits),
        seconds=round(time.monotonic() - started_s, 1),
        probe=tuple(
            make_curve(name, [{size: visit.costs[name] for size, visit in one.items()} for one in visits])
            for name in _PROBE_CURVES
        ),
        plugin=(span_curve,),
        fills=fills,
    )


def _visit_agents(effort: Effort, work_dir: Path, tell: Tell, pods: Sequence[int]) -> list[dict[int, Visit]]:
    rounds = []
    with crowded_node() as crowd, running_sink(work_dir) as sink:
        crowd.resize(min(pods))
        visit_agent(work_dir, sink, min(pods), 0.1)  # the first one finds nothing in the machine's caches
        for number in range(PROBE_ROUNDS[effort]):
            tell(f"probe: round {number + 1} of {PROBE_ROUNDS[effort]}")
            visits = {}
            for count in order_sizes(pods, number):
                crowd.resize(count)
                visits[count] = visit_agent(work_dir, sink, count, VISIT_S[effort])
            rounds.append(visits)
    return rounds


def _ask_joins(effort: Effort, tell: Tell, pending: Sequence[int]) -> tuple[Curve, tuple[Fill, ...]]:
    with ExitStack() as stack:
        joins = {}
        for count in pending:
            tell(f"plugin: {count:,} transits come and wait")
            joins[count] = stack.enter_context(join_process(count))
        fills = tuple(Fill(came=count, **join.filled._asdict()) for count, join in joins.items())
        tell(f"plugin: {PLUGIN_ROUNDS[effort]} rounds")
        rounds = [
            {count: joins[count].time_span(BATCHES[effort]) for count in order_sizes(pending, number)}
            for number in range(PLUGIN_ROUNDS[effort])
        ]
    return make_curve(SPAN, rounds), fills


list_missing = find_missing

QUESTION = Question("scale", "How do the costs grow?", BUDGET_S, list_missing, answer)
