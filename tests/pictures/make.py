"""Makes the pictures of README and docs from one run of the demo, with a noisy neighbour (`make pictures`).

Edge: starts the testbed, a real Zipkin and a browser; writes docs/pictures. Needs what `make test-peers` needs.
Zipkin's page, not Jaeger's: the files of that are no part of Jaeger's modules.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from testbed.demo import judge
from testbed.demo_run import Paths, run_demo
from testbed.faults import filled_queue
from testbed.topology import NODE_1, NODE_2, UNDERLAY_DEVICE
from tests.house.repository import ROOT
from tests.kernel.terminal import Terminal
from tests.peers.plugin_process import running_plugin
from tests.peers.zipkin_page import Page, opened_page
from tests.peers.zipkin_server import Zipkin, running_zipkin
from tests.pictures.names import DIRECTORY, PICTURES
from tests.pictures.svg import render_terminal
from traceview.page import render_page
from traceview.tree import Trace

REQUESTS = 200
TRACE_COLUMNS, TOP_COLUMNS, TOP_ROWS = 112, 84, 24
WINDOW = "1500,1560"
"""All rows of a trace of the demo: Zipkin draws those alone that are seen."""


def main() -> None:
    """Write all."""
    work_dir = ROOT / "build" / "pictures"
    work_dir.mkdir(parents=True, exist_ok=True)
    DIRECTORY.mkdir(exist_ok=True)
    with running_zipkin(work_dir) as zipkin:
        with running_plugin(work_dir, {"zipkin": {"endpoint": zipkin.spans_url}}) as listening:
            traces, screen = run_busy_demo(Paths(work_dir / "demo"), listening["otlp_grpc"])
        trace = pick_slow_wire(traces)
        save("top.svg", render_terminal(screen, TOP_COLUMNS, "node-probe top"))
        save("trace.svg", draw_trace(trace, zipkin))
        with opened_page(work_dir, WINDOW) as page:
            photograph(page, trace, zipkin, work_dir)
    made = {path.name for path in DIRECTORY.iterdir()}
    assert made == set(PICTURES), made


def run_busy_demo(paths: Paths, backend: str) -> tuple[list[Trace], str]:
    """Run the demo with the neighbour; return its traces and the last screen of `node-probe top` on node-1."""
    screens: list[str] = []
    with ExitStack() as stack:

        def follow(line: str) -> None:
            sys.stdout.write(f"{line}\n")
            if line.startswith("services:"):
                stack.enter_context(filled_queue(NODE_1, UNDERLAY_DEVICE, NODE_2.underlay_address, paths.work_dir))
                screens.append("")
                stack.enter_context(watched_hops(screens))
            elif line.startswith("spans:"):
                stack.close()

        outcome = run_demo(paths, REQUESTS, backend, follow)
    traces, faults = judge(paths, outcome, REQUESTS, backend)
    assert not faults, faults
    return list(traces), screens[-1]


@contextmanager
def watched_hops(screens: list[str]) -> Iterator[None]:
    """Hold `node-probe top` on node-1, and keep its last screen."""
    command = ["ip", "netns", "exec", NODE_1.namespace, sys.executable, "-m", "node_probe", "top"]
    terminal = Terminal(command, os.environ, TOP_ROWS, TOP_COLUMNS)
    try:
        terminal.wait_for("q quit")
        yield
        terminal.wait_for("host-forward")
        screens.append(terminal.text.split("\x1b[H")[-1])
        terminal.press(b"q")
        assert terminal.end() == 0, terminal.text
    finally:
        terminal.close()


def pick_slow_wire(traces: list[Trace]) -> Trace:
    """Return the shortest of the quarter with the slowest hops: it shows the queue, and no other noise."""
    by_hop = sorted(traces, key=find_slowest_ns)
    return min(by_hop[len(by_hop) * 3 // 4 :], key=lambda trace: trace.duration_ns)


def find_slowest_ns(trace: Trace) -> int:
    """Return how long its slowest hop takes."""
    return max(row.span.duration_ns for row in trace.rows if row.span.is_network)


def draw_trace(trace: Trace, zipkin: Zipkin) -> str:
    """Return what `hopspan trace` draws of it, asked of Zipkin."""
    command = [sys.executable, "-m", "traceview", "trace", trace.trace_id.hex(), "--from", "zipkin"]
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(TRACE_COLUMNS), "PYTHONIOENCODING": "utf-8"}
    drawn = subprocess.run(
        [*command, "--url", zipkin.url], env=environment, check=True, capture_output=True, text=True
    )
    return render_terminal(drawn.stdout, TRACE_COLUMNS, "hopspan trace ID --from zipkin")


def photograph(page: Page, trace: Trace, zipkin: Zipkin, work_dir: Path) -> None:
    """Take Zipkin's page of the trace, with what the slow hop says, and the demo's own page."""
    rows = page.open(zipkin.page_url(trace.trace_id.hex()), len(trace.rows))
    wire = next(number for number, row in enumerate(rows) if row.label.endswith(": underlay"))
    page.read_details(wire, "underlay")
    page.take_picture(DIRECTORY / "zipkin.png")
    own = work_dir / "trace.html"
    own.write_text(render_page([trace]))
    page.show(own.as_uri(), "Where the time went")
    page.take_picture(DIRECTORY / "page.png")


def save(name: str, text: str) -> None:
    """Write a drawing."""
    (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
