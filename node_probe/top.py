"""`node-probe top`: the hops of this node as a live table, on programs of its own, without plugin or Collector.

An agent reads the records as always; here they go into a table instead of spans, and each turn of its loop is where
the table is shown and keys are read. So there is one thread, and the end of the agent is the end of everything.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TextIO

import msgspec

from hopspan.command import EXIT_FAILED, EXIT_OK
from hopspan.errors import HopspanError
from hopspan.logs import Log
from hopspan.settings import LogLevel
from hopspan.stop import StopRequest
from node_probe.agent import Agent
from node_probe.burst_transit import read_any_transit
from node_probe.clock import monotonic_ns
from node_probe.config import READABLE_CONTEXTS, Limits, PointSettings
from node_probe.context import ContextError
from node_probe.counters import Reason
from node_probe.governor import Governor
from node_probe.heartbeat import Heartbeat
from node_probe.hop_table import HopTable, Sort
from node_probe.kernel_burst import is_follower
from node_probe.kernel_record import KernelRecordError
from node_probe.report import list_losses
from node_probe.start import Loaded, load_with_least_rights, make_agent
from node_probe.top_screen import Screen
from node_probe.top_text import Snapshot, list_lines, write_json

MIN_INTERVAL_S, MAX_INTERVAL_S = 0.1, 86_400.0
"""The agent's loop turns every 0.1 s."""

_NS_PER_S = 10**9


class Options(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    once: bool
    json: bool
    interval_ns: int
    sort: Sort
    limit: int | None


class Top(Heartbeat):
    """The table of an agent, in the place of its heartbeat."""

    def __init__(self, agent: Agent, options: Options, screen: Screen | None) -> None:
        """Have the agent's records come here; show them on `screen`, else as lines on standard output."""
        super().__init__()
        self._agent = agent
        self._options = options
        self._screen = screen
        self._sort = options.sort
        self._table = HopTable()
        self._started_ns = 0
        self._next_ns = 0
        self._points = 0
        agent.consumers = (self.take,)
        agent.heartbeat = self

    def take(self, records: Sequence[bytes], _epoch_offset_ns: int) -> None:
        """Put the kernel's records into the table; what cannot be read is counted."""
        reasons = self._agent.tally.reasons
        for record in records:
            if is_follower(record):
                continue
            try:
                transit = read_any_transit(record)
            except KernelRecordError:
                reasons.add(Reason.BAD_RECORD)
            except ContextError:
                reasons.add(Reason.BAD_CONTEXT)
            else:
                if transit is None:
                    reasons.add(Reason.UNSAMPLED)
                else:
                    self._table.observe(transit)

    def begin(self, now_ns: int, failed_points: int, status: str) -> None:
        """Start the clock: the points are attached."""
        self._started_ns = now_ns
        self._next_ns = now_ns + self._options.interval_ns
        super().begin(now_ns, failed_points, status)
        if self._screen is not None:
            self._screen.open()
            self.show()

    def beat(self, now_ns: int, failed_points: int) -> None:
        """Obey the keys, and show the table when it is time."""
        super().beat(now_ns, failed_points)
        self._points = len(self._agent.attacher.attached)
        pressed = self._screen.read_keys() if self._screen is not None else ""
        for key in pressed:
            self._press(key, now_ns)
        if now_ns >= self._next_ns or pressed:
            self._next_ns = max(self._next_ns + self._options.interval_ns, now_ns)
            if self._options.once:
                self._agent.stopping.set()
            else:
                self.show()

    def show(self) -> None:
        """Show the table as it is now."""
        if self._screen is not None:
            self._screen.show(self._read(self._screen.rows), self._sort)
        elif self._options.json:
            _write(write_json(self._read()).decode())
        else:
            _write("\n".join(list_lines(self._read(), self._sort)) + "\n")

    def _press(self, key: str, now_ns: int) -> None:
        if key == "q":
            self._agent.stopping.set()
        elif key == "s":
            sorts = list(Sort)
            self._sort = sorts[(sorts.index(self._sort) + 1) % len(sorts)]
        elif key == "c":
            self._table.clear()
            self._started_ns = now_ns

    def _read(self, room: int | None = None) -> Snapshot:
        rows = self._table.list_rows(self._sort)
        shown = rows[: min(limit for limit in (self._options.limit, room, len(rows)) if limit is not None)]
        tally = self._agent.tally
        losses = list_losses(tally.read_kernel(), tally.reasons.read())
        return Snapshot(
            rows=shown,
            rows_left_out=len(rows) - len(shown),
            transits=self._table.transits,
            elapsed_ns=monotonic_ns() - self._started_ns,
            points=self._points,
            mechanism=self._agent.attacher.mechanism,
            lost={reason: count for reason, count in losses if count},
        )


class LastLine:
    """A stream for a log whose last line a screen shows, since lines of their own would break its drawing."""

    def __init__(self, screen: Screen) -> None:
        """Tell `screen`."""
        self._screen = screen

    def write(self, text: str) -> int:
        """Take a line of the log."""
        fields = json.loads(text)
        self._screen.note = " ".join(str(value) for name, value in fields.items() if name not in ("time", "level"))
        return len(text)

    def flush(self) -> None:
        """Do nothing: what was written is there."""


def main(program: str, arguments: Sequence[str]) -> int:
    """Show the hops of this node until SIGINT, SIGTERM or `q`; return the exit code."""
    options = parse_options(program, arguments)
    live = not (options.once or options.json) and sys.stdout.isatty()
    screen = Screen() if live else None
    stopping = StopRequest()
    stopping.listen()
    try:
        run(options, screen, stopping)
    except BrokenPipeError:
        # Whoever read has enough, as `head` does. Python would write to the pipe once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (HopspanError, OSError) as error:
        if stopping.wait(0):
            # Ctrl-C reaches the compiling child too, which then cannot load anything.
            return EXIT_OK
        sys.stderr.write(f"{program} top: {error}\n")
        return EXIT_FAILED
    return EXIT_OK


def run(options: Options, screen: Screen | None, stopping: StopRequest) -> None:
    """Load, attach, show until `stopping` is set, detach. Raises HopspanError or OSError."""
    log = Log(LogLevel.WARN)
    loaded = load_with_least_rights(PointSettings(), log, READABLE_CONTEXTS)
    if screen is not None:
        stream: TextIO = LastLine(screen)  # type: ignore[assignment]  # a log writes and flushes, and nothing else
        log = Log(LogLevel.WARN, stream)
    agent = make_agent(loaded, log)
    agent.governor = Governor(Limits().cpu, os.urandom(16))
    agent.stopping = stopping
    top = Top(agent, options, screen)
    try:
        run_agent(agent, loaded)
    finally:
        if screen is not None:
            screen.close()
        log.close()
    if options.once:
        top.show()


def run_agent(agent: Agent, loaded: Loaded) -> None:
    """Run the agent with the points and limits that the probe has by default."""
    points = PointSettings()
    agent.run(loaded.settings, points.exclude, points.rate_limit, pod=loaded.pod)


def parse_options(program: str, arguments: Sequence[str]) -> Options:
    """Return what the arguments ask for; exits with 2 where they are wrong."""
    parser = argparse.ArgumentParser(
        prog=f"{program} top",
        description="Shows the hops of this node's traced packets, without plugin or Collector.",
    )
    parser.add_argument("--once", action="store_true", help="show the hops of one interval, and end")
    parser.add_argument(
        "--json", action="store_true", help="one line of JSON each interval, durations in nanoseconds"
    )
    parser.add_argument(
        "--interval", type=_read_interval_ns, default="1", metavar="SECONDS", help="how often to show; default 1"
    )
    parser.add_argument(
        "--sort", type=Sort, choices=list(Sort), default=Sort.P99, help="the rows' order; default p99"
    )
    parser.add_argument("--limit", type=_read_limit, metavar="ROWS", help="show no more rows; default all")
    found = parser.parse_args(arguments)
    return Options(found.once, found.json, found.interval, found.sort, found.limit)


def _read_interval_ns(text: str) -> int:
    seconds = float(text)
    if not MIN_INTERVAL_S <= seconds <= MAX_INTERVAL_S:
        raise argparse.ArgumentTypeError(f"{text} is not between {MIN_INTERVAL_S} and {MAX_INTERVAL_S:.0f}")
    return round(seconds * _NS_PER_S)


def _read_limit(text: str) -> int:
    limit = int(text)
    if limit < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of rows")
    return limit


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
