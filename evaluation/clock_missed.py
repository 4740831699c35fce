"""Lets each tool see the same loads, and counts what it missed: node-probe to a peer, tcpdump to files."""

from contextlib import AbstractContextManager

from evaluation.clock_rounds import HOPSPAN, TCPDUMP, MissedRun
from evaluation.estimates import alternate
from evaluation.question import Effort, Tell
from evaluation.wrk_bench import Bench
from testbed.deadline import pause
from testbed.load import Rhythm, run_load
from testbed.losses import read_capture_lost_percent, read_missed_percent
from testbed.variants import Running, running_agents, running_captures

LOADS = {
    "1,000/s": Rhythm(10, 9),
    "2,000/s": Rhythm(20, 9),
    "5,000/s": Rhythm(50, 9),
    "10,000/s": Rhythm(100, 9),
    "saturation": Rhythm(64),
}
"""A connection that rests for 9 ms sends up to 100 requests a second."""

QUICK_LOADS = ("1,000/s", "saturation")
ROUNDS = {Effort.QUICK: 2, Effort.FULL: 3}
SECONDS_PER_RUN = 2

SETTLE_S = 1.2
"""After a load, before tcpdump is stopped: the kernel hands it a block of packets that is not full after a second,
and what it was not handed it does not write. hopspan's ring is read every 100 ms."""

_CAPTURE_OPTIONS = ("-w", "{directory}/{number}.pcap", "-s", "192", "tcp or udp")
"""tcpdump's buffer is the one that it has by itself, 2 MiB a device; of a packet it keeps the headers."""


def run_missed(bench: Bench, effort: Effort, tell: Tell) -> list[MissedRun]:
    """Return the runs of both tools at all loads. Raises TestbedError."""
    runs = []
    for number in range(ROUNDS[effort]):
        for name, rhythm in LOADS.items():
            if effort is Effort.QUICK and name not in QUICK_LOADS:
                continue
            tell(f"missed at {name}, round {number + 1} of {ROUNDS[effort]}")
            tools = (HOPSPAN, TCPDUMP) if alternate(number)[0] else (TCPDUMP, HOPSPAN)
            runs += [_run(bench, tool, name, rhythm) for tool in tools]
    return runs


def _run(bench: Bench, tool: str, name: str, rhythm: Rhythm) -> MissedRun:
    with _start(bench, tool) as running:
        load = run_load(bench.work_dir, SECONDS_PER_RUN, 100, rhythm)
        pause(SETTLE_S)
    for capture in bench.work_dir.glob("*.pcap"):
        capture.unlink()  # at saturation they are some 100 MB
    counts = running.counts
    missed = read_missed_percent(counts, load.requests) if tool == HOPSPAN else read_capture_lost_percent(counts)
    return MissedRun(tool, name, load.rate, missed)


def _start(bench: Bench, tool: str) -> AbstractContextManager[Running]:
    if tool == HOPSPAN:
        return running_agents(bench.work_dir, bench.endpoint)
    options = [option.replace("{directory}", str(bench.work_dir)) for option in _CAPTURE_OPTIONS]
    return running_captures(bench.work_dir, *options)
