"""Measures the agent: CPU a transit and memory at a steady load, and the rate that it keeps up with.

Edge: runs agents on the testbed, and the replay in a process of its own.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.kernel_facts import read_cpu_ns, read_rss_mib
from testbed.load import Rhythm, run_load
from testbed.variants import running_agents
from tests.bench.figures import spread

STEADY = Rhythm(30, 11)
"""2.5k exchanges a second: 30 connections that each send every 12 ms. An exchange is two transits on each node."""

TRANSITS_PER_EXCHANGE = 2

_SETTLE_S = 0.3
"""The ring is read every 100 ms and what was read is sent at once, so after this all is sent."""

_REPLAY_TIMEOUT_S = 300


def measure_steady(work_dir: Path, sink: str, seconds: int, rounds: int) -> dict[str, Any]:
    """Return CPU a transit and resident memory of both nodes' agents at 5k transits/s, by rounds."""
    cpu_us, rss_mib, rates, sent = [], [], [], 0
    with running_agents(work_dir, sink) as running:
        for _ in range(rounds):
            before = [read_cpu_ns(agent.pid) for agent in running.processes]
            load = run_load(work_dir, seconds, 100, STEADY)
            _wait(_SETTLE_S)
            transits = TRANSITS_PER_EXCHANGE * load.requests
            for agent, cpu_ns in zip(running.processes, before, strict=True):
                cpu_us.append((read_cpu_ns(agent.pid) - cpu_ns) / 1e3 / transits)
                rss_mib.append(read_rss_mib(agent.pid))
            rates.append(transits / load.seconds)
            sent += transits
    for counts in running.counts:
        # wrk does not count the requests that were under way when its time was over.
        if counts["transits_sent"] < 0.99 * sent:
            raise TestbedError(f"the agent lost transits at a steady load: {counts}")
    return {
        "us_cpu_per_transit": spread(cpu_us),
        "rss_steady_mib": spread(rss_mib),
        "steady_transits_per_s": spread(rates),
    }


def measure_replay(transits: int, rounds: int) -> dict[str, Any]:
    """Return the rate of an agent on one core whose ring is never empty, and the compiling child's peak."""
    command = [sys.executable, "-m", "tests.bench.replay", str(transits), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_REPLAY_TIMEOUT_S, check=False)
    if done.returncode:
        raise TestbedError(f"the replay failed with {done.returncode}:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout)
    figures = {name: spread([one[name] for one in report["rounds"]]) for name in report["rounds"][0]}
    return {
        "compile_child_peak_mib": report["compile_child_peak_mib"],
        "transits_per_s": figures["transits_per_s"],
        "replay_us_cpu_per_transit": figures["us_cpu"],
        "replay_us_cpu_per_coded_transit": figures["coded_us_cpu"],
        "replay_us_cpu_more_if_coded": spread([one["coded_us_cpu"] - one["us_cpu"] for one in report["rounds"]]),
        "us_cpu_per_kept_burst": figures["kept_us_cpu"],
        "replay_lost": figures["lost"],
        "replay_uncounted": spread([one["uncounted"] + one["coded_uncounted"] for one in report["rounds"]]),
        "wire_bytes_per_transit": figures["bytes_per_transit"],
    }


def describe() -> dict[str, str]:
    """Return what the figures under `agent` are, for the report's notes."""
    return {
        "agent.us_cpu_per_transit": "process CPU of node-probe, all threads, ring to OTLP sent over gRPC, at "
        "steady_transits_per_s on each node; both agents, each round a value",
        "agent.transits_per_s": "one core, ring never empty, exporter takes all at once; replay_lost were counted "
        "under a reason, replay_uncounted must be 0",
        "agent.replay_us_cpu_per_coded_transit": "of HTTP/2's contexts in Huffman code, each of a request and its "
        "response; replay_us_cpu_more_if_coded: round by round, less replay_us_cpu_per_transit",
        "agent.us_cpu_per_kept_burst": "of TLS, kept until a span claims it: without reading the ring, beside "
        "replay_us_cpu_per_coded_transit in the same round",
        "agent.compile_child_peak_mib": "resident memory of the child that compiles and loads, before it exits",
    }


def _wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "time did not pass", seconds + 1)
