"""Measures what a run of each program costs in real traffic, by the kernel's own run-time statistics."""

from collections import Counter
from pathlib import Path
from typing import Any

from testbed.kernel_facts import counting_runs
from testbed.load import Load, run_load
from testbed.variants import Counts, running_readers


def measure_in_traffic(work_dir: Path, seconds: int) -> dict[str, Any]:
    """Return ns a run of each program under load, with every request sampled and with 1 %."""
    figures: dict[str, Any] = {}
    for name, percent in (("sampled_100", 100), ("sampled_1", 1)):
        with counting_runs(), running_readers(work_dir) as running:
            load = run_load(work_dir, seconds, percent)
        figures[name] = _divide(running.counts, load)
    return figures


def _divide(counts: list[Counts], load: Load) -> dict[str, float]:
    time_ns: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for count in counts:
        for program, facts in count["programs"].items():
            time_ns[program] += facts.get("run_time_ns", 0)
            runs[program] += facts.get("run_cnt", 0)
    figures = {program: round(time_ns[program] / runs[program], 1) for program in runs if runs[program]}
    return figures | {"all_per_exchange": round(time_ns.total() / load.requests, 1)}


def describe() -> dict[str, str]:
    """Return what the figures are, for the report's notes."""
    return {
        "ns.in_traffic": "run-time statistics of both nodes under wrk, requests, responses and other packets mixed; "
        "the statistics themselves add some 30 ns a run; all_per_exchange: all programs of both nodes for one "
        "request and its response",
    }
