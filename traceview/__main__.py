"""The command `hopspan`: draws traces of a backend or a file with their hops, and compares the hops of two sets.

`python -m traceview FILE` is `hopspan show FILE`. Faults are one line on standard error.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from traceview.backends import NoTraceError, fetch_trace
from traceview.comparison import Comparison, Side, Verdict, compare_sets
from traceview.comparison_json import describe_comparison
from traceview.comparison_text import write_comparison
from traceview.hop_sets import Source, gather_set
from traceview.http_get import BackendError, HttpGetter
from traceview.options import find_backend, parse_options
from traceview.otlp_json import TraceFileError
from traceview.page import render_page
from traceview.terminal import open_console, print_notes, print_styled, print_trace
from traceview.text import make_printable
from traceview.trace_file import load_reading, save_page
from traceview.trace_json import describe_trace_json, write_json
from traceview.tree import Trace, group_traces
from traceview.waterfall import pick_glyphs

EXIT_OK = 0
EXIT_NOT_FOUND = 1
EXIT_DIFFERENT = 1
EXIT_FAILED = 2
EXIT_UNKNOWN = 3
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141
"""128 and the number of the signal (SIGINT, SIGPIPE), as shells have it."""

COMMANDS = frozenset({"trace", "show", "diff"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, as `hopspan --help` lists them."""
    # Python has None for a file that was closed before it began.
    if getattr(sys.stdout, "write", None) is None:
        return _complain("standard output is closed")
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer would be written at the exit, and fail with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNREAD
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        return _complain(f"standard output: {error.strerror}")
    return code


def _run(arguments: Sequence[str]) -> int:
    options = parse_options(_name_command(arguments))
    run = {"trace": _run_trace, "show": _run_show, "diff": _run_diff}[options.command]
    try:
        return run(options)
    except NoTraceError as error:
        _complain(str(error))
        return EXIT_NOT_FOUND
    except (BackendError, TraceFileError, argparse.ArgumentTypeError) as error:
        return _complain(str(error))


def _name_command(arguments: Sequence[str]) -> Sequence[str]:
    """Put `show` in front of what names no command but a file: so the command was before it had others."""
    first = next(iter(arguments), "--help")
    is_known = first in COMMANDS or first in ("-h", "--help", "--version")
    looks_like_file = first.startswith("-") or "." in first or "/" in first or os.path.exists(first)  # noqa: PTH110
    return arguments if is_known or not looks_like_file else ["show", *arguments]


def _run_trace(options: argparse.Namespace) -> int:
    reading = fetch_trace(HttpGetter(find_backend(options)), options.kind, options.id)
    traces = group_traces(reading.spans)
    if not traces:
        raise BackendError(f"none of the trace's spans can be read: {reading.first_fault}")
    _show_traces(traces, options, reading.describe())
    return EXIT_OK


def _run_show(options: argparse.Namespace) -> int:
    reading = load_reading(options.file)
    traces = group_traces(reading.spans)
    chosen = traces if options.trace is None else pick_traces(traces, options.trace)
    _show_traces(chosen, options, reading.describe())
    return EXIT_OK


def pick_traces(traces: Sequence[Trace], wanted: str) -> Sequence[Trace]:
    """Return the trace whose id begins with `wanted`; raises NoTraceError for none, TraceFileError for several."""
    found = [trace for trace in traces if trace.trace_id.hex().startswith(wanted.lower())]
    if not found:
        raise NoTraceError(f"no traces begin with {wanted!r:.80}")
    if len(found) > 1:
        raise TraceFileError(f"{len(found)} traces begin with {wanted!r:.80}")
    return found


def _show_traces(traces: Sequence[Trace], options: argparse.Namespace, left_out: Sequence[str]) -> None:
    if options.html:
        save_page(options.html, render_page(traces))
        sys.stderr.write("".join(f"hopspan: {note}\n" for note in left_out))
        return
    console = None if options.json else open_console()
    for number, trace in enumerate(traces):
        if console is None:
            sys.stdout.write(write_json(describe_trace_json(trace, left_out)))
            continue
        if number:
            sys.stdout.write("\n")
        print_trace(trace, console, options.rows)
        print_notes(left_out, console)


def _run_diff(options: argparse.Namespace) -> int:
    if options.kind is None and (options.service or options.url or options.headers):
        raise argparse.ArgumentTypeError("--from: missing, the other options of a backend need it")
    if options.before == options.after == "-":
        raise argparse.ArgumentTypeError("-: standard input is one set, and cannot be both")
    if options.kind is not None and not options.service:
        raise argparse.ArgumentTypeError("--service: missing, --from needs it")
    source = None
    if options.kind is not None:
        source = Source(HttpGetter(find_backend(options)), options.kind, options.service, options.limit)
    now_ns = time.time_ns()
    try:
        sides = [
            gather_set(name, source, now_ns, by_nodes=options.by_nodes) for name in (options.before, options.after)
        ]
    except ValueError as error:
        return _complain(str(error))
    before, after = sides
    comparison = compare_sets(before.held, after.held, options.confidence / 100)
    if options.json:
        sys.stdout.write(write_json(describe_comparison(comparison, before, after)))
    else:
        _print_comparison(comparison, before, after)
    return _judge(comparison)


def _print_comparison(comparison: Comparison, before: Side, after: Side) -> None:
    styles: dict[Verdict | None, str] = {Verdict.SLOWER: "red", Verdict.FASTER: "green"}
    console = open_console()
    lines = write_comparison(comparison, (before, after), console.width, pick_glyphs(console.encoding))
    print_styled(((line.text, styles.get(line.verdict, "")) for line in lines), console)


def _judge(comparison: Comparison) -> int:
    verdicts = comparison.verdicts
    if verdicts & {Verdict.SLOWER, Verdict.FASTER}:
        return EXIT_DIFFERENT
    return EXIT_OK if Verdict.NOT_SEEN in verdicts else EXIT_UNKNOWN


def _complain(text: str) -> int:
    print(f"hopspan: {make_printable(text)}", file=sys.stderr)
    return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
