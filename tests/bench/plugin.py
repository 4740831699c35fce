"""`python -m tests.bench.plugin`: measures what collector_plugin costs; a table, and build/bench/plugin.json.

Figures are medians of rounds with the lowest and the highest, of CPU time and not of the clock on the wall; the
machine may be busy all the same, so only --strict fails on a target.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from testbed.peers import find_collector
from tests.bench import plugin_clock, plugin_flows, plugin_join, plugin_names, plugin_width
from tests.bench.machine import describe_machine
from tests.bench.pipeline import NOT_BUILT
from tests.bench.pipeline_report import PIPELINE_SECTIONS, PIPELINE_TARGETS
from tests.bench.pipeline_report import describe as describe_pipeline
from tests.bench.targets import Target, judge, render_table

DEFAULT_OUT = Path("build/bench/plugin.json")

EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

PARTS = ("join", "names", "clock", "width", "flows", "pipeline")
"""`pipeline` needs the Collector, and is left out where it is not built."""

JOIN_TARGETS = (
    Target("join.us_per_transit", 25),
    Target("join.us_per_parent", 1.5),
    Target("pending.us_per_span.ratio", 1.5),
    Target("pending.bytes_per_transit", 400),
    Target("pending.bytes_per_parent", 120),
    Target("names.us_per_transit", 1.3),
    Target("names.bytes_per_pod", 1_200),
    Target("clock.error_us_p99", 10),
    Target("width.beyond_copying", 1.2),
    Target("flows.walk_us_per_span", 9),
    Target("flows.claim_us_per_span", 3),
)

JOIN_SECTIONS = ("join", "pending", "names", "clock", "width", "flows")
"""The parts of a report that hold the figures of all parts but `pipeline`."""

PLUGIN_TARGETS = JOIN_TARGETS + PIPELINE_TARGETS
PLUGIN_SECTIONS = JOIN_SECTIONS + PIPELINE_SECTIONS


def measure(rounds: int, parts: frozenset[str], *, quick: bool) -> dict[str, Any]:
    """Return the report. Raises CalledProcessError where the pipeline could not be measured."""
    started = time.monotonic()
    report = {
        **describe_machine(),
        "rounds": rounds,
        "quick": quick,
        "notes": {
            key: text
            for part in (plugin_join, plugin_names, plugin_clock, plugin_width, plugin_flows)
            for key, text in part.describe().items()
        }
        | describe_pipeline(),
    }
    # First, since it keeps the machine busiest: what comes after has no part in its memory.
    if "pipeline" in parts:
        report |= measure_pipeline(rounds, quick=quick)
    if "join" in parts:
        report |= plugin_join.measure_join(rounds, quick=quick)
    if "names" in parts:
        report |= plugin_names.measure_names(rounds, quick=quick)
    if "clock" in parts:
        report |= plugin_clock.measure_clock(rounds)
    if "width" in parts:
        report |= plugin_width.measure_width(rounds, quick=quick)
    if "flows" in parts:
        report |= plugin_flows.measure_flows(rounds, quick=quick)
    report["seconds"] = round(time.monotonic() - started, 1)
    return report


def measure_pipeline(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the sections of the pipeline; `failed` alone where the Collector is not built.

    In a process of its own, which is pinned to one core. Raises CalledProcessError.
    """
    if find_collector() is None:
        return {"failed": {"pipeline": NOT_BUILT}}
    command = [sys.executable, "-m", "tests.bench.pipeline", "--rounds", str(rounds), *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plugin", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--quick", action="store_true", help="seconds, one round: shows that it works, not a figure")
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
    try:
        report = measure(1 if options.quick else options.rounds, options.parts, quick=options.quick)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(f"{json.dumps(report, indent=2)}\n")
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return show(report, options)


def show(report: dict[str, Any], options: argparse.Namespace) -> int:
    """Print the table; return the exit code."""
    table = render_table(
        report, check=options.check or options.strict, targets=PLUGIN_TARGETS, sections=PLUGIN_SECTIONS
    )
    sys.stdout.write("".join(f"{line}\n" for line in table))
    failed = report.get("failed", {})
    sys.stdout.write("".join(f"not measured: {key}: {reason}\n" for key, reason in failed.items()))
    sys.stdout.write(f"{options.out}: {report['seconds']} s\n")
    missed = failed or not all(judge(report, PLUGIN_TARGETS).values())
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
