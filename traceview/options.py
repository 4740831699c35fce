"""What can be told to the `hopspan` command: its options, their help, and the values made of them. Edge: reads files.

Faults are told by argparse: the usage, one line on standard error, exit code 2.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hopspan.http_url import read_http_url
from hopspan.settings import TlsClient
from hopspan.values import read_positive_duration
from hopspan.version import VERSION
from traceview.backends import DEFAULT_URLS, Kind
from traceview.http_get import DEFAULT_TIMEOUT_NS, Backend
from traceview.ids import read_trace_id

DEFAULT_ROWS = 500
"""Rows of a trace that are drawn: ten screens."""

DEFAULT_LIMIT = 500
"""Traces of a set: some 30 MB of answer, and enough hops for a p50."""

MAX_COUNT = 1_000_000

MIN_PERCENT, MAX_PERCENT = 50.0, 99.999
"""Of confidence: less is a guess, more needs samples that nobody has."""

_Value = TypeVar("_Value")

EXIT_CODES = """exit codes:
  0  drawn; of diff: no difference seen
  1  no such trace; of diff: a difference seen
  2  wrong usage, an unreadable file, a backend without a usable answer
  3  of diff: nothing could be compared, as there are too few hops
"""


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; `command` is trace, show or diff. Exits with 2, or after --help and --version with 0."""
    return make_parser().parse_args(arguments)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="hopspan",
        description="Show traces with their network hops, and compare hops.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_trace(commands)
    _add_show(commands)
    _add_diff(commands)
    return parser


def find_backend(options: argparse.Namespace) -> Backend:
    """Return the backend that the options name; raises argparse.ArgumentTypeError for what contradicts itself."""
    tls = TlsClient(ca_file=options.ca_file, cert_file=options.cert_file, key_file=options.key_file)
    for fault in tls.validate():
        raise argparse.ArgumentTypeError(f"--{fault.replace('_', '-')}")
    if options.insecure and options.ca_file:
        raise argparse.ArgumentTypeError("--ca-file: has no effect with --insecure")
    return Backend(
        url=options.url or read_http_url(DEFAULT_URLS[options.kind]),
        headers=dict(header for headers in options.headers for header in headers),
        tls=tls,
        verify=not options.insecure,
        timeout_ns=options.timeout,
    )


def _add_trace(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add_command(commands, "trace", "draw one trace of a backend")
    parser.add_argument("id", metavar="ID", type=_as_type(read_trace_id), help="trace id, 16 or 32 hex digits")
    _add_backend(parser, required=True)
    _add_drawing(parser)


def _add_show(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add_command(commands, "show", "draw the traces of a file")
    parser.add_argument(
        "file",
        metavar="FILE",
        help="OTLP JSON, one request a line, or a saved answer of Jaeger or Zipkin; - for standard input",
    )
    parser.add_argument("--trace", metavar="ID", help="only the trace whose id begins so")
    _add_drawing(parser)


def _add_diff(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add_command(commands, "diff", "compare the hops of two sets of traces, before and after a change")
    what = "a file of OTLP JSON, a folder of such, or a pattern in quotes; with --from a time range START/END"
    for name in ("before", "after"):
        parser.add_argument(name, metavar=name.upper(), help=what)
    _add_backend(parser, required=False)
    parser.add_argument("--service", metavar="NAME", help="with --from: the traces that this service takes part in")
    parser.add_argument(
        "--limit",
        type=_read_count,
        default=DEFAULT_LIMIT,
        metavar="N",
        help="with --from: at most so many traces a set (default: %(default)s)",
    )
    parser.add_argument("--by-nodes", action="store_true", help="tell apart which nodes the hops lie between")
    parser.add_argument(
        "--confidence",
        type=_read_percent,
        default=95.0,
        metavar="PERCENT",
        help="how sure all intervals together are (default: 95)",
    )
    _add_json(parser)


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_backend(parser: argparse.ArgumentParser, *, required: bool) -> None:
    group = parser.add_argument_group("backend")
    group.add_argument(
        "--from", dest="kind", type=Kind, choices=tuple(Kind), required=required, help="which backend it is"
    )
    urls = ", ".join(DEFAULT_URLS.values())
    group.add_argument("--url", type=_as_type(read_http_url), help=f"where it is asked (default: {urls})")
    group.add_argument(
        "--header",
        dest="headers",
        type=_as_type(read_headers),
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="sent with each request; @FILE reads lines of such, unseen by others on this machine",
    )
    group.add_argument("--ca-file", metavar="FILE", help="authorities that sign its certificate, PEM")
    group.add_argument("--cert-file", metavar="FILE", help="our certificate, PEM")
    group.add_argument("--key-file", metavar="FILE", help="our private key, PEM")
    group.add_argument("--insecure", action="store_true", help="do not verify its certificate")
    group.add_argument(
        "--timeout",
        type=_as_type(read_positive_duration),
        default=DEFAULT_TIMEOUT_NS,
        metavar="DURATION",
        help="for each answer (default: 30s)",
    )


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows",
        type=_read_count,
        default=DEFAULT_ROWS,
        metavar="N",
        help="draw at most so many spans of a trace (default: %(default)s)",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--html", metavar="OUT", help="write one self-contained page instead")
    _add_json(output)


def _add_json(parser: "argparse.ArgumentParser | argparse._MutuallyExclusiveGroup") -> None:
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")


def read_headers(text: str) -> list[tuple[str, str]]:
    """Return the headers of `Name: value`, or of the lines of `@FILE`; raises ValueError without their values."""
    if not text.startswith("@"):
        return [_read_header(text, "it")]
    try:
        lines = Path(text[1:]).read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise ValueError(f"{text[1:]}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{text[1:]}: is not ASCII") from error
    return [_read_header(line, f"{text[1:]}: line {at}") for at, line in enumerate(lines, start=1) if line.strip()]


def _read_header(text: str, where: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"{where} is not 'NAME: VALUE'")
    return name.strip(), value.strip()


def _as_type(read: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """Return a reader whose ValueError is told in its own words: of others argparse tells the name alone."""

    def read_or_refuse(text: str) -> _Value:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read_or_refuse


def _read_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:8]) <= MAX_COUNT):
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a number from 1 to {MAX_COUNT}")
    return int(text)


def _read_percent(text: str) -> float:
    try:
        percent = float(text)
    except ValueError:
        percent = 0.0
    if not MIN_PERCENT <= percent <= MAX_PERCENT:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a number from {MIN_PERCENT:g} to {MAX_PERCENT:g}")
    return percent
