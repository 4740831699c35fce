"""Measures how the agent follows its node: new pods, all at once, until the last of them is attached.

Edge: makes a node and its pods of network namespaces, and runs a whole agent there.
"""

import json
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

from node_probe.device_dump import list_devices
from node_probe.devices import plan_points
from node_probe.namespaces import entered
from testbed.deadline import wait_until
from testbed.kernel_facts import read_cpu_ns
from tests.bench.figures import spread
from tests.kernel.made_node import DEADLINE_S, Node, Probe
from tests.kernel.wires import plug_in, pods

POINTS_PER_POD = 4


def measure_discovery(count: int, rounds: int) -> dict[str, Any]:
    """Return seconds and agent CPU until `count` new pods are attached and, when they have gone, released."""
    seen: dict[str, list[float]] = {"attach_s": [], "attach_cpu_s": [], "release_s": [], "release_cpu_s": []}
    plans: list[float] = []
    node = Node(secrets.token_hex(3))
    try:
        with tempfile.TemporaryDirectory(prefix="hopspan-bench-") as directory:
            probe = Probe(node, Path(directory))
            for turn in range(rounds):
                with pods(count) as names:
                    before = _read_cost(probe)
                    plug_in(node, names, f"turn{turn}pod")
                    _note(seen, "attach", before, _wait_for(probe, POINTS_PER_POD * (count + 1)))
                    plans.append(_time_plan(node))
                    before = _read_cost(probe)
                _note(seen, "release", before, _wait_for(probe, POINTS_PER_POD))
    finally:
        node.remove()
    return {"pods": count, "plan_ms": spread(plans), **{key: spread(values) for key, values in seen.items()}}


def describe() -> dict[str, str]:
    """Return what the figures under `discovery` are, for the report's notes."""
    return {
        "discovery.attach_s": "from the first command that makes a veth until the agent's log has all points of "
        "discovery.pods new pods, four each; making them is in it, and so is that of the kernel's grace periods",
        "discovery.release_s": "from the first command that ends a pod until the last point is released; ending them "
        "is in it",
        "discovery.plan_ms": "listing that node's devices and planning its points, as the agent does at each change",
    }


def _read_cost(probe: Probe) -> tuple[float, int]:
    return time.monotonic(), read_cpu_ns(probe.process.pid)


def _note(seen: dict[str, list[float]], name: str, before: tuple[float, int], after: tuple[float, int]) -> None:
    seen[f"{name}_s"].append(after[0] - before[0])
    seen[f"{name}_cpu_s"].append((after[1] - before[1]) / 1e9)


def _wait_for(probe: Probe, points: int) -> tuple[float, int]:
    def has_points() -> bool:
        told = [json.loads(line) for line in probe.log.read_text().splitlines() if '"points"' in line]
        return bool(told) and told[-1]["points"] == points

    wait_until(has_points, f"the agent did not come to {points} points", DEADLINE_S)
    return _read_cost(probe)


def _time_plan(node: Node) -> float:
    with entered(Path("/run/netns") / node.node):
        start = time.monotonic()
        plan_points(list_devices(), (), pod=True)
        return 1e3 * (time.monotonic() - start)
