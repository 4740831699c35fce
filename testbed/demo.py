"""The command `python -m testbed.demo`: requests through two nodes, and one trace with the network inside it.

Prints what it starts, a typical trace, the times of all requests' hops and where the files are. Exits with 0 only if
every request shows every hop under the CLIENT spans whose ids its packets carried.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from hopspan.values import read_endpoint
from testbed.demo_run import Outcome, Paths, load_traces, run_demo
from testbed.demo_summary import pick_typical, render_summary
from testbed.demo_verdict import find_backend_faults, find_faults, read_counts
from testbed.errors import TestbedError
from testbed.interrupt import raise_on_terminate
from testbed.requirements import missing_requirements
from traceview.otlp_json import TraceFileError
from traceview.page import render_page
from traceview.terminal import print_trace
from traceview.trace_file import save_page
from traceview.tree import Trace
from traceview.waterfall import pick_glyphs

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

MAX_REQUESTS = 1000
"""35 spans each: within what the trace view reads, and a page that a browser still opens."""

MAX_FAULTS = 12
"""Sentences that are printed: where a node's hops are missing, every trace has its own."""


def main() -> int:
    """Run the demo; return 0, or 1 after saying on standard error what is missing."""
    options = _parse_options()
    raise_on_terminate()
    try:
        missing = find_missing()
        return _complain("this machine lacks", missing) if missing else _run(options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except (TestbedError, TraceFileError, OSError) as error:
        return _complain("failed", [str(error)])


def _run(options: argparse.Namespace) -> int:
    paths = Paths(options.work_dir)
    outcome = run_demo(paths, options.requests, options.otlp, _make_teller())
    traces, faults = judge(paths, outcome, options.requests, options.otlp)
    if traces:
        save_page(str(paths.page), render_page(traces))
        _show_traces(traces)
    _show_files(paths, len(traces))
    if faults:
        return _complain("incomplete", faults)
    _print_lines(["", "Complete: every request has all its hops, below the spans its packets name."])
    if options.otlp:
        _print_lines([f"\nSent to {options.otlp}, trace ids:", *(trace.trace_id.hex() for trace in traces)])
    return 0


def find_missing() -> list[str]:
    """Return what this machine lacks, a line each: for the testbed, and for node-probe."""
    missing = missing_requirements()
    if find_spec("bcc") is None:
        missing.append("bcc: no such Python module (package python3-bpfcc, with the distribution's own python3)")
    return missing


def judge(paths: Paths, outcome: Outcome, count: int, backend: str | None) -> tuple[Sequence[Trace], list[str]]:
    """Return the traces of a run that has ended, and all that is missing, a sentence each."""
    faults = list(outcome.faults)
    traces: Sequence[Trace] = ()
    try:
        traces = load_traces(paths.trace_file)
    except TraceFileError as error:
        faults.append(str(error))
    if backend is not None:
        faults += find_backend_faults(read_counts(outcome.plugin_log), backend)
    return traces, faults + find_faults(traces, outcome.requests, count)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m testbed.demo", description="Show a trace of two nodes with the network inside it."
    )
    parser.add_argument(
        "--work-dir", type=Path, default=Path("build/demo"), help="where files and logs go (default: build/demo)"
    )
    parser.add_argument(
        "--otlp",
        type=_read_backend,
        metavar="HOST:PORT",
        help="send all spans to this backend too (OTLP gRPC, plain)",
    )
    parser.add_argument("--requests", type=_read_count, default=20, metavar="N", help="how many (default: 20)")
    return parser.parse_args()


def _read_backend(text: str) -> str:
    try:
        return str(read_endpoint(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _read_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_REQUESTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_REQUESTS}")
    return int(text)


def _make_teller() -> Callable[[str], None]:
    """Return what prints a step of the run beside the time that has passed."""
    start_s = time.monotonic()
    return lambda line: _print_lines([f"{time.monotonic() - start_s:5.1f} s  {line}"])


def _show_traces(traces: Sequence[Trace]) -> None:
    _print_lines(["", f"One trace of {len(traces)}, the one of median duration:", ""])
    print_trace(pick_typical(traces))
    _print_lines(render_summary(traces, pick_glyphs(sys.stdout.encoding).arrow))


def _show_files(paths: Paths, count: int) -> None:
    files = {str(paths.trace_file): "all spans: OTLP JSON, one request a line"}
    if count:
        files[str(paths.page)] = f"the waterfalls of all {count} traces, for a browser"
    files[str(paths.logs)] = "logs and configurations of all processes"
    width = max(map(len, files))
    _print_lines(["", *(f"{path:<{width}}  {text}" for path, text in files.items())])


def _complain(what: str, lines: Sequence[str]) -> int:
    """Say on standard error what is missing and return the exit code."""
    shown = [f"  {line}" for line in lines[:MAX_FAULTS]]
    if len(lines) > MAX_FAULTS:
        shown.append(f"  and {len(lines) - MAX_FAULTS} more")
    sys.stderr.write("\n".join([f"\ndemo: {what}:", *shown]) + "\n")
    return EXIT_FAILED


def _print_lines(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
