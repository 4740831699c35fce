"""The command `python -m traceview`: draws a file of spans in the terminal, or writes it as a page."""

import argparse
import sys
from collections.abc import Sequence

from traceview.otlp_json import TraceFileError
from traceview.page import render_page
from traceview.terminal import print_trace
from traceview.trace_file import load_spans, save_page
from traceview.tree import Trace, group_traces

EXIT_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 after one line on standard error."""
    options = _parse_options(arguments)
    try:
        traces = pick_traces(group_traces(load_spans(options.file)), options.trace)
        if options.html:
            save_page(options.html, render_page(traces))
            return 0
    except TraceFileError as error:
        sys.stderr.write(f"traceview: {error}\n")
        return EXIT_BAD_INPUT
    for number, trace in enumerate(traces):
        if number:
            sys.stdout.write("\n")
        print_trace(trace)
    return 0


def pick_traces(traces: Sequence[Trace], wanted: str | None) -> Sequence[Trace]:
    """Return all traces, or the one whose id begins with `wanted`; raises TraceFileError where that is not one."""
    if wanted is None:
        return traces
    found = [trace for trace in traces if trace.trace_id.hex().startswith(wanted.lower())]
    if len(found) != 1:
        raise TraceFileError(f"{len(found) or 'no'} traces begin with {wanted!r:.80}")
    return found


def _parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m traceview", description="Draw traces with their network hops.")
    parser.add_argument("file", metavar="FILE", help="OTLP JSON, one request a line; - for standard input")
    parser.add_argument("--trace", metavar="ID", help="only the trace whose id begins so")
    parser.add_argument("--html", metavar="OUT", help="write one self-contained page instead")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
