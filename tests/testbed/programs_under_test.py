"""Runs collector-plugin and node-probe as users do: as processes with a configuration, told to stop by SIGTERM.

What they counted is read where users read it: from their log's line `stopped`, and from the probe's metrics page.
"""

import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from testbed.namespace import open_socket
from testbed.process import ManagedProcess, run_in
from testbed.topology import NODES, PLUGIN_ENDPOINT, Node

READY_TIMEOUT_S = 60.0
"""The probe compiles for a second on an idle machine."""

STOP_TIMEOUT_S = 20.0
HEADERS = ("traceparent", "b3", "b3multi", "uber-trace-id")
"""The probe's default."""
METRICS_PORT = 29464
"""The probe's default, on its node's loopback."""


def start_plugin(
    work_dir: Path, sink: str, *, settle: str = "2s", flows: Mapping[str, Any] | None = None
) -> ManagedProcess:
    """Start collector-plugin at PLUGIN_ENDPOINT, sending to the sink; it is ready on return."""
    config = {
        "settle": settle,
        "flows": flows or {},
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": PLUGIN_ENDPOINT}}}},
        "exporters": {"otlp": {"endpoint": sink, "tls": {"insecure": True}}},
        "telemetry": {"metrics": {"endpoint": "127.0.0.1:0"}},
    }
    plugin = run_in(
        None, _render_command("collector_plugin", work_dir, "plugin", config), log_path=work_dir / "plugin.log"
    )
    plugin.wait_for_output('"ready"', READY_TIMEOUT_S)
    return plugin


def start_probe(
    work_dir: Path, node: Node, *, pod: bool = True, limited: bool = True, contexts: Sequence[str] = HEADERS
) -> ManagedProcess:
    """Start a node's node-probe, which sends to PLUGIN_ENDPOINT; not ready yet.

    Unless `limited`, it has no limit of rate and of CPU, so that no count depends on how fast the machine is.
    """
    config = {
        "node": {"name": node.name},
        "contexts": contexts,
        "points": {"pod": pod} | ({} if limited else {"rate_limit": 0}),
        "limits": {} if limited else {"cpu": 0},
        "exporters": {"otlp": {"endpoint": PLUGIN_ENDPOINT, "tls": {"insecure": True}}},
    }
    command = _render_command("node_probe", work_dir, node.name, config)
    return run_in(node.namespace, command, log_path=work_dir / f"{node.name}.log")


@contextmanager
def running_probes(
    work_dir: Path, *nodes: Node, pod: bool = True, limited: bool = True, contexts: Sequence[str] = HEADERS
) -> Iterator[dict[str, ManagedProcess]]:
    """Hold node-probes that are ready, by node name; without nodes those of all."""
    with ExitStack() as stack:
        probes = {
            node.name: stack.enter_context(start_probe(work_dir, node, pod=pod, limited=limited, contexts=contexts))
            for node in nodes or NODES
        }
        for probe in probes.values():
            probe.wait_for_output('"ready"', READY_TIMEOUT_S)
        yield probes


def stop_and_count(process: ManagedProcess) -> dict[str, int]:
    """Stop a program by SIGTERM, which must end it with 0, and return the counts of its line `stopped` but the 0s.

    Contexts are left out: they say what was read, not what became of it.
    """
    assert process.stop(STOP_TIMEOUT_S) == 0, process.read_log_tail()
    lines = [json.loads(line) for line in process.read_log().splitlines() if line.startswith("{")]
    (stopped,) = (line for line in lines if line["message"] == "stopped")
    counts = {name: value for name, value in stopped.items() if isinstance(value, int) and value}
    return {name: value for name, value in counts.items() if not name.startswith("context_")}


def count_transits(transits: int, **others: int) -> dict[str, int]:
    """Return what a probe must have counted where it lost nothing: whatever is not named is 0."""
    names = ("transits_started", "transits_emitted", "records_read", "transits_sent")
    return {name: number for name, number in (dict.fromkeys(names, transits) | others).items() if number}


def kill(process: ManagedProcess) -> None:
    """End a process by SIGKILL."""
    process.send_signal(signal.SIGKILL)
    assert process.wait_or_kill(STOP_TIMEOUT_S) == -signal.SIGKILL


def read_probe_metrics(node: Node) -> dict[str, float]:
    """Return the samples of the probe's metrics page, by name and labels as they stand there."""
    with open_socket(node.namespace) as connected:
        connected.settimeout(STOP_TIMEOUT_S)
        connected.connect(("127.0.0.1", METRICS_PORT))
        connection = HTTPConnection("127.0.0.1", METRICS_PORT)
        connection.sock = connected
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    samples = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def _render_command(module: str, work_dir: Path, name: str, config: dict[str, Any]) -> list[str]:
    path = work_dir / f"{name}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    return [sys.executable, "-m", module, "--config", str(path)]
