"""`python -m tests.bench.probe`: measures what node_probe and bpf/ cost; a table, and build/bench/probe.json.

Composes the parts: programs alone, replayed ring, new pods, and on the testbed traffic, rates, agents and stamps.
Figures are medians of rounds with the lowest and the highest; the machine may be busy, so only --strict fails on a
target.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from hopspan.errors import HopspanError
from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.interrupt import raise_on_terminate
from testbed.load import missing_commands, running_server
from testbed.network import two_nodes_vxlan
from testbed.requirements import missing_requirements
from testbed.variants import running_sink
from tests.bench import agent_cost, discovery, program_runs, rates, traffic, truth
from tests.bench.machine import describe_machine
from tests.bench.targets import judge, render_table
from tests.bench.timed_runs import Effort

PARTS = ("ns", "replay", "discovery", "traffic", "rps", "agent", "truth")
TESTBED_PARTS = frozenset({"traffic", "rps", "agent", "truth"})
DEFAULT_OUT = Path("build/bench/probe.json")

EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

TESTBED_PATIENCE_S = 900.0
"""A machine has one testbed; whoever holds it is done within a test or a bench."""


class Bench:
    """One run: its effort and what it found."""

    def __init__(self, rounds: int, parts: frozenset[str], *, quick: bool) -> None:
        self._rounds = rounds
        self._parts = parts
        self._quick = quick
        self.report: dict[str, Any] = {
            **describe_machine(),
            "rounds": rounds,
            "quick": quick,
            "notes": program_runs.describe()
            | traffic.describe()
            | rates.describe()
            | agent_cost.describe()
            | discovery.describe()
            | truth.describe(),
        }

    def run(self) -> None:
        """Measure all parts, those without the testbed first. Raises HopspanError or TestbedError."""
        started = time.monotonic()
        if "ns" in self._parts:
            effort = Effort(self._rounds, *((3, 10_000, 300) if self._quick else (9, 50_000, 1500)))
            with closing(program_runs.ProgramRuns(effort)) as runs:
                self.report["verified_instructions"] = runs.verified
                self._add("ns", runs.measure())
        if "replay" in self._parts:
            self._add("agent", agent_cost.measure_replay(50_000 if self._quick else 300_000, self._rounds))
        if "discovery" in self._parts:
            self._add("discovery", discovery.measure_discovery(20 if self._quick else 200, min(self._rounds, 3)))
        if self._parts & TESTBED_PARTS:
            with tempfile.TemporaryDirectory(prefix="hopspan-bench-") as directory, held_testbed():
                self._run_on_testbed(Path(directory))
        self.report["seconds"] = round(time.monotonic() - started, 1)

    def _run_on_testbed(self, work_dir: Path) -> None:
        seconds = 1 if self._quick else 4
        with running_server(work_dir) as server, running_sink(work_dir) as sink:
            if "traffic" in self._parts:
                self._add("ns", {"in_traffic": traffic.measure_in_traffic(work_dir, seconds)})
            if "rps" in self._parts:
                bench = rates.RateBench(work_dir, server, sink, seconds)
                self._add("rps", bench.measure(self._rounds))
                self._add("raw", {"rps": bench.list_pieces()})
            if "agent" in self._parts:
                self._add("agent", agent_cost.measure_steady(work_dir, sink[1], seconds, self._rounds))
            if "truth" in self._parts:
                self._add("truth", truth.measure_truth(work_dir, seconds, min(self._rounds, 3)))

    def _add(self, section: str, figures: dict[str, Any]) -> None:
        self.report.setdefault(section, {}).update(figures)


@contextmanager
def held_testbed() -> Iterator[None]:
    """Hold the testbed, once whoever has it is done. Raises TestbedError."""
    with ExitStack() as stack:

        def enter() -> bool:
            try:
                stack.enter_context(two_nodes_vxlan())
            except TestbedError as error:
                if "in use" not in str(error):
                    raise
                return False
            return True

        wait_until(enter, "the testbed of this machine did not become free", TESTBED_PATIENCE_S)
        yield


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.probe", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--quick", action="store_true", help="a minute, one round: shows that it works, not a figure")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="FILE", help=f"default {DEFAULT_OUT}")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help=f"of {','.join(PARTS)}")
    parser.add_argument("--check", action="store_true", help="show PASS or FAIL beside each target")
    parser.add_argument("--strict", action="store_true", help="as --check, and fail if a target is missed")
    options = parser.parse_args(arguments)
    options.parts = frozenset(options.only.split(","))
    if options.parts - set(PARTS) or options.rounds < 1:
        parser.error("--only: unknown part, or --rounds: less than 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return the exit code."""
    options = read_options(arguments)
    raise_on_terminate()
    missing = missing_requirements() + missing_commands()
    if missing:
        sys.stderr.write("".join(f"{line}\n" for line in missing))
        return 1
    bench = Bench(1 if options.quick else options.rounds, options.parts, quick=options.quick)
    try:
        bench.run()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (HopspanError, TestbedError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(f"{json.dumps(bench.report, indent=2)}\n")
    check = options.check or options.strict
    sys.stdout.write("".join(f"{line}\n" for line in render_table(bench.report, check=check)))
    sys.stdout.write(f"{options.out}: {bench.report['seconds']} s\n")
    return 1 if options.strict and not all(judge(bench.report).values()) else 0


if __name__ == "__main__":
    sys.exit(main())
