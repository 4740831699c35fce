"""Question 3: what does it cost? Throughput, p99 and CPU with hopspan or tcpdump, between runs without anything.

The whole node-probe runs on both nodes and sends to a peer that takes all; each variant meets two loads, one that
saturates both cores and a steady one.
"""

import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

from evaluation.cost_rounds import SEED, HookRun, Loads, Piece, Watching, judge_hooks, judge_variants
from evaluation.estimates import estimate_median
from evaluation.machine import describe_machine
from evaluation.question import Effort, Question, Tell
from evaluation.results_cost import CostResult
from evaluation.wrk_bench import Bench, list_missing, running_bench
from testbed.kernel_facts import counting_runs, list_children, list_softirq_threads, read_cpu_ns, read_rss_mib
from testbed.load import SATURATING, Rhythm, run_load
from testbed.losses import read_capture_lost_percent, read_lost_percent
from testbed.topology import NODES
from testbed.variants import Running, running_agents, running_captures, running_readers

ROUNDS = {Effort.QUICK: 3, Effort.FULL: 11}
SECONDS_PER_RUN = {Effort.QUICK: 1, Effort.FULL: 2}
BUDGET_S = {Effort.QUICK: 180, Effort.FULL: 960}

STEADY = Rhythm(30, 11)
"""2.5k requests a second: 30 connections that each send every 12 ms."""

SAMPLED = {"hopspan, 0 % sampled": 0, "hopspan, 1 %": 1, "hopspan, 10 %": 10, "hopspan, 100 %": 100}
TCPDUMP = "tcpdump"
VARIANTS = (*SAMPLED, TCPDUMP)

HOOK_ROUNDS = {Effort.QUICK: 2, Effort.FULL: 3}
HOOK_SAMPLED = {Effort.QUICK: (1, 100), Effort.FULL: (0, 1, 10, 100)}


def answer(effort: Effort, work_dir: Path, tell: Tell) -> CostResult:
    """Run every variant between runs without anything, then the programs under the kernel's account."""
    head, started_s = describe_machine(effort), time.monotonic()
    seconds, rounds = SECONDS_PER_RUN[effort], ROUNDS[effort]
    with running_bench(work_dir) as bench:
        costs = _Costs(bench, seconds)
        run_load(work_dir, 1, 100)  # caches and connections are cold
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            costs.run_round(number)
        hooks, exchanges = judge_hooks(_run_hooks(work_dir, effort, tell))
    chance = Random(SEED)  # noqa: S311 - no secret: the same rounds give the same bounds
    off = costs.off
    return CostResult(
        head=head,
        rounds=rounds,
        seconds_per_run=seconds,
        hook_rounds=HOOK_ROUNDS[effort],
        seconds=round(time.monotonic() - started_s, 1),
        steady_rate=estimate_median([loads.steady_rate for loads in off], chance),
        off_rate=estimate_median([loads.rate for loads in off], chance),
        off_cpu_us=estimate_median([loads.cpu_us for loads in off], chance),
        off_p50_us=estimate_median([loads.p50_us for loads in off], chance),
        off_p99_us=estimate_median([loads.p99_us for loads in off], chance),
        off_p99_saturated_us=estimate_median([loads.p99_saturated_us for loads in off], chance),
        variants=judge_variants(costs.pieces),
        hooks=hooks,
        exchanges=exchanges,
    )


class _Costs:
    """The bench, and what was measured on it."""

    def __init__(self, bench: Bench, seconds: int) -> None:
        self._bench = bench
        self._seconds = seconds
        self._pids = [bench.server.pid, *list_children(bench.server.pid), bench.sink.pid, *list_softirq_threads()]
        self.off: list[Loads] = []
        self.pieces: dict[str, list[Piece]] = {name: [] for name in VARIANTS}

    def run_round(self, number: int) -> None:
        """Run all variants, each round in another order, so that none always follows the same one."""
        self.off.append(self._run_loads(100, [])[0])
        first = number % len(VARIANTS)
        for name in VARIANTS[first:] + VARIANTS[:first]:
            self._run_variant(name)

    def _run_variant(self, name: str) -> None:
        before = self.off[-1]
        with self._start(name) as running:
            pids = [process.pid for process in running.processes]
            loads, watching = self._run_loads(SAMPLED.get(name, 100), pids)
        lost = read_capture_lost_percent if name == TCPDUMP else read_lost_percent
        self.off.append(self._run_loads(100, [])[0])
        self.pieces[name].append(Piece(before, loads, self.off[-1], watching, lost(running.counts)))

    def _start(self, name: str) -> AbstractContextManager[Running]:
        if name == TCPDUMP:
            return running_captures(self._bench.work_dir)
        return running_agents(self._bench.work_dir, self._bench.endpoint)

    def _run_loads(self, percent: int, pids: list[int]) -> tuple[Loads, Watching]:
        """Return what both loads reached, and what the processes took of them."""
        work_dir, peer = self._bench.work_dir, self._bench.sink.pid
        steady_ns = _sum_cpu_ns(pids)
        steady = run_load(work_dir, self._seconds, percent, STEADY)
        steady_ns = _sum_cpu_ns(pids) - steady_ns
        own_ns, peer_ns = _sum_cpu_ns(pids), _sum_cpu_ns([peer])
        most = run_load(work_dir, self._seconds, percent, SATURATING, pids=[*self._pids, *pids])
        own_ns, peer_ns = _sum_cpu_ns(pids) - own_ns, _sum_cpu_ns([peer]) - peer_ns
        loads = Loads(
            rate=most.rate,
            cpu_us=most.cpu_us,
            p99_saturated_us=most.latency_us[99],
            steady_rate=steady.rate,
            p50_us=steady.latency_us[50],
            p99_us=steady.latency_us[99],
        )
        watching = Watching(
            own_us=own_ns / 1e3 / most.requests,
            peer_us=peer_ns / 1e3 / most.requests,
            own_cpu_percent=100 * steady_ns / (steady.seconds * 1e9) / len(NODES),
            own_rss_mib=sum(map(read_rss_mib, pids)) / len(NODES),
        )
        return loads, watching


def _sum_cpu_ns(pids: list[int]) -> int:
    return sum(map(read_cpu_ns, pids))


def _run_hooks(work_dir: Path, effort: Effort, tell: Tell) -> list[HookRun]:
    runs = []
    for number in range(HOOK_ROUNDS[effort]):
        tell(f"programs, round {number + 1} of {HOOK_ROUNDS[effort]}")
        sampled = HOOK_SAMPLED[effort]
        for percent in sampled if number % 2 == 0 else sampled[::-1]:
            with counting_runs(), running_readers(work_dir) as running:
                load = run_load(work_dir, SECONDS_PER_RUN[effort], percent)
            time_ns, ran = Counter[str](), Counter[str]()
            for count in running.counts:
                for program, facts in count["programs"].items():
                    time_ns[program] += facts.get("run_time_ns", 0)
                    ran[program] += facts.get("run_cnt", 0)
            runs.append(HookRun(percent, load.requests, time_ns, ran))
    return runs


QUESTION = Question("cost", "What does it cost?", BUDGET_S, list_missing, answer)
