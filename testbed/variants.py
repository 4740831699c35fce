"""What is compared under load: nothing, whole agents, the kernel side with a minimal reader, tcpdump.

Edge: each variant is a context that holds its processes, ready on entry, and keeps what they counted when they end.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from node_probe.config import MAX_RATE_LIMIT
from testbed.minimal_reader import READY_LINE
from testbed.process import ManagedProcess, run_in, stop_all
from testbed.topology import (
    CART,
    FRONTEND,
    MANAGEMENT_GATEWAY,
    NODE_1,
    NODE_2,
    NODES,
    OVERLAY_DEVICE,
    POD_DEVICE,
    UNDERLAY_DEVICE,
)

READY_TIMEOUT_S = 60.0
"""Two compilations at once on a busy machine."""

STOP_TIMEOUT_S = 20.0
"""An agent that fell behind sends what it has before it ends."""

SNAP_BYTES = 512

DEVICES = (
    (FRONTEND.namespace, POD_DEVICE),
    (NODE_1.namespace, FRONTEND.host_veth),
    (NODE_1.namespace, OVERLAY_DEVICE),
    (NODE_1.namespace, UNDERLAY_DEVICE),
    (NODE_2.namespace, UNDERLAY_DEVICE),
    (NODE_2.namespace, OVERLAY_DEVICE),
    (NODE_2.namespace, CART.host_veth),
    (CART.namespace, POD_DEVICE),
)
"""Namespace and device of all points on the way from the frontend to the cart; each device is two points."""

Counts = dict[str, Any]


class Running:
    """The processes of a variant, and what they counted, which is there when the variant has ended."""

    def __init__(self, processes: list[ManagedProcess]) -> None:
        self.processes = processes
        self.counts: list[Counts] = []


@contextmanager
def running_sink(work_dir: Path) -> Iterator[tuple[ManagedProcess, str]]:
    """Hold the null sink; yield it and its endpoint."""
    command = [sys.executable, "-m", "testbed.null_sink", str(MANAGEMENT_GATEWAY)]
    with run_in(None, command, log_path=work_dir / "sink.log") as sink:
        port = sink.wait_for_output(r"^listening (\d+)$", READY_TIMEOUT_S)[1]
        yield sink, f"{MANAGEMENT_GATEWAY}:{port}"


@contextmanager
def running_agents(work_dir: Path, sink: str) -> Iterator[Running]:
    """Hold a node-probe on both nodes; their rate limit is never reached, which would spare what is measured."""
    with ExitStack() as stack:
        agents = []
        for node in NODES:
            config = work_dir / f"{node.name}.yaml"
            settings = {
                "node": {"name": node.name},
                "points": {"rate_limit": MAX_RATE_LIMIT},
                "exporters": {"otlp": {"endpoint": sink, "tls": {"insecure": True}}},
                "telemetry": {"metrics": {"endpoint": "127.0.0.1:0"}},
            }
            config.write_text(json.dumps(settings))  # JSON is YAML
            command = [sys.executable, "-m", "node_probe", "--config", str(config)]
            agents.append(
                stack.enter_context(run_in(node.namespace, command, log_path=work_dir / f"{node.name}.log"))
            )
        yield from _run_until_stopped(agents, '"ready"', _read_stopped)


@contextmanager
def running_readers(work_dir: Path, *, keep: bool = False) -> Iterator[Running]:
    """Hold the minimal reader on both nodes; with `keep` their records go to `NODE.records` in the directory."""
    with ExitStack() as stack:
        readers = []
        for node in NODES:
            command = [sys.executable, "-m", "testbed.minimal_reader"]
            command += ["--keep", str(work_dir / f"{node.name}.records")] if keep else []
            log_path = work_dir / f"reader-{node.name}.log"
            readers.append(stack.enter_context(run_in(node.namespace, command, log_path=log_path)))
        yield from _run_until_stopped(readers, f"^{READY_LINE}", _read_last_line)


@contextmanager
def running_captures(work_dir: Path, *options: str) -> Iterator[Running]:
    """Hold one tcpdump on each device: as many packets as hopspan meets at its points, in half as many processes.

    Without options they write to /dev/null; `{number}` in an option is replaced by the device's place in DEVICES.
    """
    chosen = options or ("-w", "/dev/null", "-s", str(SNAP_BYTES))
    with ExitStack() as stack:
        captures = []
        for number, (namespace, device) in enumerate(DEVICES):
            command = ["tcpdump", "-n", "-Z", "root", "-i", device]
            command += [option.replace("{number}", str(number)) for option in chosen]
            log_path = work_dir / f"tcpdump-{number}.log"
            captures.append(stack.enter_context(run_in(namespace, command, log_path=log_path)))
        yield from _run_until_stopped(captures, "listening on", _read_capture)


def _run_until_stopped(
    processes: list[ManagedProcess], ready: str, read: Callable[[ManagedProcess], Counts]
) -> Iterator[Running]:
    """Yield the processes once all are ready; then stop them, and read what each of them counted."""
    for process in processes:
        process.wait_for_output(ready, READY_TIMEOUT_S)
    running = Running(processes)
    yield running
    stop_all(processes, STOP_TIMEOUT_S)
    running.counts = [read(process) for process in processes]


def _read_last_line(reader: ManagedProcess) -> Counts:
    counts: Counts = json.loads(reader.read_log().splitlines()[-1])
    return counts


def _read_stopped(agent: ManagedProcess) -> Counts:
    for line in reversed(agent.read_log().splitlines()):
        if '"stopped"' in line:
            return {name: value for name, value in json.loads(line).items() if isinstance(value, int)}
    return {}  # killed: it had more to send than the time to stop allows


def _read_capture(capture: ManagedProcess) -> Counts:
    text = capture.read_log()
    found = {name: re.search(rf"^(\d+) packets? {name}", text, re.MULTILINE) for name in ("captured", "dropped by")}
    return {name.split()[0]: int(match[1]) if match else 0 for name, match in found.items()}
