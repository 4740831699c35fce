"""Question 1: does the relocation cost anything? HotROD and sidecars on the real Kubernetes, all variants by turns.

The same processes serve all variants, and a control that changes nothing takes its turns, too; hopspan itself does
not run.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec

from evaluation.header_blocks import is_sampled, read_block
from evaluation.kernel_search import measure_search
from evaluation.load_generator import Asked, Connections, Place, ask_as_planned, ask_without_pause
from evaluation.machine import describe_machine
from evaluation.question import Effort, Question, Tell
from evaluation.relocation_plans import CALL, PLANS, RIDE, Load, Plan, Saturated
from evaluation.relocation_pods import Mesh, find_versions, missing_programs, running_collector, start_mesh
from evaluation.relocation_runs import (
    CLOSED_LOOP,
    FIRST,
    LAST,
    SIDECAR_CPU,
    THROUGHPUT,
    UNTRACED,
    VARIANTS,
    Figures,
    describe_blocks,
    find_quantiles,
    list_measures,
    name_share,
    order_variants,
    plan_sendings,
)
from evaluation.relocation_sidecars import name_session
from evaluation.results_relocation import Blocks, LoadResult, RelocationResult
from testbed.errors import TestbedError
from testbed.kernel_facts import read_cpu_ns
from testbed.kubernetes.cluster import two_node_kubernetes
from testbed.kubernetes.programs import missing_kubernetes
from testbed.kubernetes.topology import NODE_1
from testbed.observer import open_observer, read_frames
from testbed.requirements import missing_requirements
from testbed.topology import OVERLAY_DEVICE

SHARES = (0.5, 0.8)
"""Of saturation, in the open loops."""

BUDGET_S = {Effort.QUICK: 220, Effort.FULL: 940}

_LEAST_GAIN = 1.05
"""By which more requests at once have to raise the rate, else it is saturated."""

_TRIES = 2
"""In a row that raise it no more: one may have met a bad second of the machine."""

_CAPTURED, _MOST_TRIES = 10, 40
"""Good answers of each load, one after the other, whose header blocks are read."""


def list_missing() -> list[str]:
    """Return what this machine lacks."""
    return list(dict.fromkeys([*missing_requirements(), *missing_kubernetes(), *missing_programs()]))


def answer(effort: Effort, work_dir: Path, tell: Tell) -> RelocationResult:
    """Ask all variants by turns, and search made-up header blocks. Raises TestbedError."""
    head, started_s = describe_machine(effort), time.monotonic()
    plan = PLANS[effort]
    tell("the kernel's search")
    search = measure_search(plan.search_rounds, plan.search_requests)
    with _running_bench(plan, work_dir, tell) as bench:
        blocks = bench.capture()
        saturated = [bench.saturate(load) for load in (RIDE, CALL)]
        for number in range(plan.rounds):
            tell(f"round {number + 1} of {plan.rounds}")
            for found in saturated:
                bench.run_round(number, found)
    chance = Random(0)  # noqa: S311 - the same rounds give the same bounds
    return RelocationResult(
        head=msgspec.structs.replace(head, versions=head.versions | find_versions()),
        rounds=plan.rounds,
        seconds=round(time.monotonic() - started_s, 1),
        loads=tuple(bench.describe(found) for found in saturated),
        measures=tuple(
            measure
            for found in saturated
            for measure in list_measures(found.load.name, bench.rounds[found.load.name], chance)
        ),
        blocks=blocks,
        search=search,
        search_rounds=plan.search_rounds,
        search_requests=plan.search_requests,
    )


class Bench:
    """The running mesh, and what came of the rounds."""

    def __init__(self, plan: Plan, mesh: Mesh, connections: Connections, tell: Tell) -> None:
        self.rounds: defaultdict[str, list[dict[str, dict[str, Figures]]]] = defaultdict(list)
        """By load; each by level and variant."""
        self._plan = plan
        self._mesh = mesh
        self._connections = connections
        self._tell = tell
        self._asked: defaultdict[tuple[str, str], list[Asked]] = defaultdict(list)

    def capture(self) -> tuple[Blocks, ...]:
        """Ask each variant slowly, and read what its frontend sends over the overlay. Raises TestbedError."""
        with open_observer(NODE_1.namespace, OVERLAY_DEVICE) as packets:
            for place in self._mesh.places.values():
                for load in (CALL, RIDE):  # caches and connections are cold, so this warms them up, too
                    _ask_one_by_one(place, load)
            read = [found for frame, _ in read_frames(packets) if (found := read_block(frame))]
        sent = {
            variant: [
                block for sender, block in read if str(sender) == host and name_session(variant).encode() in block
            ]
            for variant, (host, _) in self._mesh.places.items()
        }
        traced = {variant for variant, blocks in sent.items() if any(map(is_sampled, blocks))}
        if not all(sent.values()) or traced != set(VARIANTS) - {UNTRACED}:
            raise TestbedError(f"over the overlay, {', '.join(sorted(traced)) or 'no variant'} was traced")
        return tuple(blocks for variant in (LAST, FIRST) if (blocks := describe_blocks(variant, sent[variant])))

    def saturate(self, load: Load) -> Saturated:
        """Raise the requests at once until the rate of answers grows no more. Raises TestbedError."""
        best, tries = Saturated(load, 0.0, 1), 0
        for at_once in load.at_once:
            asked = ask_without_pause(self._mesh.places[LAST], load.path, at_once, self._plan.ramp_s)
            self._tell(f"{load.name}: {at_once} at once: {asked.rate_per_s:.1f} answers/s, {asked.failed} failed")
            if asked.rate_per_s >= best.rate_per_s * _LEAST_GAIN:
                best, tries = Saturated(load, asked.rate_per_s, at_once), 0
            elif (tries := tries + 1) == _TRIES:
                break
        if not best.rate_per_s:
            raise TestbedError(f"{load.path} is not answered")
        return best

    def run_round(self, number: int, found: Saturated) -> None:
        """Run each level in all variants by turns. Raises TestbedError."""
        levels = {name_share(share): self._run_open(found, share, number) for share in SHARES}
        levels[CLOSED_LOOP] = self._run_closed(found, number)
        self.rounds[found.load.name].append(levels)

    def describe(self, found: Saturated) -> LoadResult:
        """Return what was asked of a load."""
        asked = {variant: self._asked[found.load.name, variant] for variant in VARIANTS}
        turns = self._plan.open_turns[found.load.name]
        return LoadResult(
            found.load.name,
            found.load.path,
            round(found.rate_per_s, 1),
            found.at_once,
            turns.number * turns.seconds,
            {variant: sum(len(run.times_ns) + run.failed for run in runs) for variant, runs in asked.items()},
            {variant: sum(run.failed for run in runs) for variant, runs in asked.items()},
        )

    def _run_open(self, found: Saturated, share: float, number: int) -> dict[str, Figures]:
        load, turns = found.load, self._plan.open_turns[found.load.name]
        chance = Random(f"{load.name} {number} {share}")  # noqa: S311 - no secret
        times_ns: dict[str, list[int]] = {variant: [] for variant in VARIANTS}
        cpu_ns, sent = dict.fromkeys(VARIANTS, 0), dict.fromkeys(VARIANTS, 0)
        for turn in range(turns.number):
            planned_ns = plan_sendings(found.rate_per_s * share, turns.seconds, chance)
            for variant in order_variants(number * turns.number + turn):
                place, before_ns = self._mesh.places[variant], read_cpu_ns(self._mesh.sidecar_pid)
                # Returns when all is answered, so that no variant's requests meet those of another.
                sendings = [(time_ns, place) for time_ns in planned_ns]
                by_place = ask_as_planned(load.path, sendings, self._connections)
                cpu_ns[variant] += read_cpu_ns(self._mesh.sidecar_pid) - before_ns
                sent[variant] += len(planned_ns)
                for asked in by_place.values():
                    times_ns[variant] += asked.times_ns
                    self._asked[load.name, variant].append(asked)
        return {
            variant: {**quantiles, SIDECAR_CPU: cpu_ns[variant] / 1e3 / sent[variant]} if quantiles else {}
            for variant, quantiles in ((variant, find_quantiles(times_ns[variant])) for variant in VARIANTS)
        }

    def _run_closed(self, found: Saturated, number: int) -> dict[str, Figures]:
        load = found.load
        rates: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for turn in range(self._plan.closed_turns[load.name]):
            for variant in order_variants(number * self._plan.closed_turns[load.name] + turn):
                place = self._mesh.places[variant]
                asked = ask_without_pause(place, load.path, found.at_once, load.closed_s)
                rates[variant].append(asked.rate_per_s)
        means = {variant: statistics.fmean(of_turns) for variant, of_turns in rates.items()}
        return {variant: {THROUGHPUT: mean} if mean else {} for variant, mean in means.items()}


def _ask_one_by_one(place: Place, load: Load) -> None:
    """Ask until there have been enough good answers. Raises TestbedError where most are none."""
    good = 0
    for _ in range(_MOST_TRIES):
        good += len(ask_as_planned(load.path, [(0, place)])[place].times_ns)
        if good == _CAPTURED:
            return
    raise TestbedError(f"{load.path}: {good} of {_MOST_TRIES} requests were answered well")


@contextmanager
def _running_bench(plan: Plan, work_dir: Path, tell: Tell) -> Iterator[Bench]:
    tell("Kubernetes")
    with two_node_kubernetes() as cluster, running_collector(work_dir), Connections() as connections:
        tell("HotROD")
        yield Bench(plan, start_mesh(cluster), connections, tell)


QUESTION = Question("relocation", "Does the relocation cost anything?", BUDGET_S, list_missing, answer)
