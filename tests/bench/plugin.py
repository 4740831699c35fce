"""`python -m tests.bench.plugin`: measures what collector_plugin's join costs; a table, and build/bench/plugin.json.

Figures are medians of rounds with the lowest and the highest, of CPU time and not of the clock on the wall; the
machine may be busy all the same, so only --strict fails on a target.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import plugin_clock, plugin_join
from tests.bench.machine import describe_machine
from tests.bench.targets import Target, judge, render_table

DEFAULT_OUT = Path("build/bench/plugin.json")

EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

PLUGIN_TARGETS = (
    Target("join.us_per_transit", 25),
    Target("join.us_per_parent", 1.5),
    Target("pending.us_per_span.ratio", 1.5),
    Target("pending.bytes_per_transit", 400),
    Target("pending.bytes_per_parent", 120),
    Target("clock.error_us_p99", 10),
)

PLUGIN_SECTIONS = ("join", "pending", "clock")
"""The parts of a report that hold figures."""


def measure(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the report."""
    started = time.monotonic()
    report = {
        **describe_machine(),
        "rounds": rounds,
        "quick": quick,
        "notes": plugin_join.describe() | plugin_clock.describe(),
        **plugin_join.measure_join(rounds, quick=quick),
        **plugin_clock.measure_clock(rounds),
    }
    report["seconds"] = round(time.monotonic() - started, 1)
    return report


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plugin", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--quick", action="store_true", help="seconds, one round: shows that it works, not a figure")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="FILE", help=f"default {DEFAULT_OUT}")
    parser.add_argument("--check", action="store_true", help="show PASS or FAIL beside each target")
    parser.add_argument("--strict", action="store_true", help="as --check, and fail if a target is missed")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds: less than 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; return the exit code."""
    options = read_options(arguments)
    try:
        report = measure(1 if options.quick else options.rounds, quick=options.quick)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(f"{json.dumps(report, indent=2)}\n")
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    table = render_table(
        report, check=options.check or options.strict, targets=PLUGIN_TARGETS, sections=PLUGIN_SECTIONS
    )
    sys.stdout.write("".join(f"{line}\n" for line in table))
    sys.stdout.write(f"{options.out}: {report['seconds']} s\n")
    return 1 if options.strict and not all(judge(report, PLUGIN_TARGETS).values()) else 0


if __name__ == "__main__":
    sys.exit(main())
