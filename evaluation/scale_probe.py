"""Measures one agent on a node with a number of pods: its start, its memory, its CPU idle and at a fixed rate.

Edge: starts the agent in the node's namespace and lets the pods talk; what it sends is taken by a sink.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from evaluation.scale_curves import FIRST_POINT, IDLE, LOADED, MEMORY, START, START_CPU, TRANSIT
from testbed.crowd import NODE_NAMESPACE, POINTS_PER_POD, talking_pairs
from testbed.deadline import pause
from testbed.errors import TestbedError
from testbed.kernel_facts import counting_runs, read_cpu_ns, read_programs_of, read_rss_mib, read_waited_cpu_ns
from testbed.process import ManagedProcess, run_in

EXCHANGES_PER_S = 250
TRANSITS_PER_EXCHANGE = 2
_LOOPBACK = "127.0.0.1"
_READY_TIMEOUT_S, _STOP_TIMEOUT_S = 60.0, 20.0
_FIRST_PROGRAM = "pod_egress"
_SETTLE_S = 0.3
"""The ring is read every 100 ms and what was read is sent at once, so after this all is sent."""


class Visit(NamedTuple):
    """What one agent cost, by the curves' names, and what it lost."""

    costs: dict[str, float]
    transits: int
    lost: int


@contextmanager
def running_sink(work_dir: Path) -> Iterator[str]:
    """Hold what takes the agents' transits, on the node; yield its endpoint. Raises TestbedError."""
    command = [sys.executable, "-m", "testbed.null_sink", _LOOPBACK]
    with run_in(NODE_NAMESPACE, command, log_path=work_dir / "sink.log") as sink:
        port = sink.wait_for_output(r"^listening (\d+)$", _READY_TIMEOUT_S)[1]
        yield f"{_LOOPBACK}:{port}"


def visit_agent(work_dir: Path, sink: str, pods: int, seconds: float) -> Visit:
    """Start an agent, leave it alone and then give it work, for so long each, and stop it. Raises TestbedError."""
    config = work_dir / "agent.yaml"
    settings = {
        "node": {"name": "node-1"},
        "exporters": {"otlp": {"endpoint": sink, "tls": {"insecure": True}}},
        "telemetry": {"metrics": {"endpoint": f"{_LOOPBACK}:0"}},
    }
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = [sys.executable, "-m", "node_probe", "--config", str(config)]
    started_s = time.monotonic()
    with run_in(NODE_NAMESPACE, command, log_path=work_dir / "agent.log") as agent:
        points = int(agent.wait_for_output(r'"ready", "points": (\d+)', _READY_TIMEOUT_S)[1])
        costs = {START: time.monotonic() - started_s}
        # That of the child that compiled the programs, too.
        costs[START_CPU] = (read_cpu_ns(agent.pid) + read_waited_cpu_ns(agent.pid)) / 1e9
        if points != POINTS_PER_POD * pods:
            raise TestbedError(f"the agent attached {points} points on a node of {pods} pods")
        pause(_SETTLE_S)
        costs[IDLE] = _spend_cpu(agent, seconds)
        exchanges = round(EXCHANGES_PER_S * seconds)
        costs |= _load_agent(agent, pods, exchanges)
        costs[MEMORY] = read_rss_mib(agent.pid)
        agent.stop(_STOP_TIMEOUT_S)
    transits = TRANSITS_PER_EXCHANGE * exchanges
    return Visit(costs, transits, transits - _read_sent(agent))


def _spend_cpu(agent: ManagedProcess, seconds: float) -> float:
    before_ns, started_s = read_cpu_ns(agent.pid), time.monotonic()
    pause(seconds)
    return (read_cpu_ns(agent.pid) - before_ns) / 1e6 / (time.monotonic() - started_s)


def _load_agent(agent: ManagedProcess, pods: int, exchanges: int) -> dict[str, float]:
    with talking_pairs(pods) as talk, counting_runs():
        before, before_ns, started_s = _read_run_times(agent), read_cpu_ns(agent.pid), time.monotonic()
        for number in range(exchanges):
            talk.exchange()
            pause(max(0.0, started_s + (number + 1) / EXCHANGES_PER_S - time.monotonic()))
        pause(_SETTLE_S)
        spent_ns, took_s = read_cpu_ns(agent.pid) - before_ns, time.monotonic() - started_s
        ran_ns = {name: after - before[name] for name, after in _read_run_times(agent).items()}
    transits = TRANSITS_PER_EXCHANGE * exchanges
    return {
        LOADED: spent_ns / 1e6 / took_s,
        FIRST_POINT: ran_ns[_FIRST_PROGRAM] / transits,
        TRANSIT: sum(ran_ns.values()) / transits,
    }


def _read_run_times(agent: ManagedProcess) -> dict[str, int]:
    return {name: facts["run_time_ns"] for name, facts in read_programs_of(agent.pid).items()}


def _read_sent(agent: ManagedProcess) -> int:
    for line in reversed(agent.read_log().splitlines()):
        if '"stopped"' in line:
            return int(json.loads(line)["transits_sent"])
    raise TestbedError(f"the agent did not stop in order; the end of its log:\n{agent.read_log_tail()}")
