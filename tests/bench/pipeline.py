"""`python -m tests.bench.pipeline`: what a span costs on its way through the plugin, and through the Collector.

The server has one core, load and null sink (this process) the other. Each run has a server of its own; figures are of
CPU time and not of the clock on the wall, and a ratio is taken between two runs of one round. Prints JSON.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError
from testbed.peers import find_collector
from tests.bench.pipeline_cases import CASES, ORDER
from tests.bench.pipeline_overload import Overload, measure_overload
from tests.bench.pipeline_report import make_report
from tests.bench.pipeline_runs import Effort, Outcome, Runner
from tests.bench.pipeline_servers import choose_cores
from tests.bench.pipeline_sinks import Tally, open_sinks

USUAL = Effort(warm_s=1.0, seconds=6.0)
"""As many spans as fill the plugin's store of parents at its default: a million."""

QUICK = Effort(warm_s=0.2, seconds=0.5)

OVERLOAD = "overload"
"""Among the cases: the default configuration, with ten times as much as it takes."""

NOT_BUILT = "the Collector is not built (make peers)"


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this thread, and those that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure(
    keys: list[str], rounds: int, effort: Effort
) -> tuple[list[dict[str, Outcome]], list[Overload], dict[str, str]]:
    """Return for each round what the cases' runs gave, what the overloads, and for each case that could not run why.

    Raises TestbedError where there is but one core.
    """
    server_core, load_core = choose_cores()
    measured: list[dict[str, Outcome]] = []
    overloads: list[Overload] = []
    failed: dict[str, str] = {}
    tally = Tally()
    directory = tempfile.TemporaryDirectory(prefix="hopspan-bench-")
    with directory as name, pinned(load_core), open_sinks(tally) as sinks:
        runner = Runner(tally, sinks, server_core, Path(name))
        for place in range(rounds):
            measured.append(run_round(runner, [key for key in keys if key != OVERLOAD], effort, failed))
            if OVERLOAD in keys and OVERLOAD not in failed:
                try:
                    overloads.append(measure_overload(tally, sinks, server_core, Path(name), effort))
                except TestbedError as error:
                    failed[OVERLOAD] = str(error)
            sys.stderr.write(f"round {place + 1} of {rounds}\n")
    return measured, overloads, failed


def run_round(runner: Runner, keys: list[str], effort: Effort, failed: dict[str, str]) -> dict[str, Outcome]:
    """Return what one run of each case gave; a case that fails is entered in `failed`, and not tried again."""
    outcomes: dict[str, Outcome] = {}
    for key in keys:
        if key in failed:
            continue
        try:
            outcomes[key] = runner.run(CASES[key], effort)
        except TestbedError as error:
            failed[key] = str(error)
    return outcomes


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pipeline", description=__doc__)
    known = (*ORDER, OVERLOAD)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--seconds", type=float, default=USUAL.seconds, help=f"of a run, default {USUAL.seconds:g}")
    parser.add_argument("--quick", action="store_true", help="half a second each, one round")
    parser.add_argument("--only", default=",".join(known), metavar="CASES", help=f"of {','.join(known)}")
    options = parser.parse_args(arguments)
    options.keys = [key for key in known if key in options.only.split(",")]
    if set(options.only.split(",")) - set(known) or options.rounds < 1 or options.seconds <= 0:
        parser.error("--only: unknown case, or --rounds: less than 1, or --seconds: not above 0")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    options = read_options(arguments)
    if find_collector() is None and any(key.startswith("collector.") for key in options.keys):
        sys.stderr.write(f"{NOT_BUILT}\n")
        return 1
    effort = QUICK if options.quick else Effort(USUAL.warm_s, options.seconds)
    try:
        measured, overloads, failed = measure(options.keys, 1 if options.quick else options.rounds, effort)
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{json.dumps(make_report(measured, failed, overloads), indent=2)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
