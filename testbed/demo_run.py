"""Runs the demo once: network, plugin, probes and mesh come up, requests go through, everything ends in order.

Leaves the trace file and the logs in the work directory, and returns what else tells how it went.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.client import send_requests
from testbed.deadline import wait_until
from testbed.demo_verdict import FILE_EXPORTER, OTLP_EXPORTER, find_faults
from testbed.errors import TestbedError
from testbed.interrupt import hold_interrupts
from testbed.mesh import started_mesh
from testbed.network import two_nodes_vxlan
from testbed.process import ManagedProcess, run_in, stop_all
from testbed.topology import CHECKOUT_URL, FRONTEND, NODES, PLUGIN_ENDPOINT
from testbed.wire_watch import WireRequest, WireWatch
from traceview.otlp_json import TraceFileError
from traceview.trace_file import load_spans
from traceview.tree import Trace, group_traces

READY_TIMEOUT_S = 60.0
"""A probe compiles its kernel programs, some 2 s on two cores; a loaded machine gets time."""

QUIET_TIMEOUT_S = 5.0
"""More than spans (200 ms) and transits (200 ms), and halves of messages in the plugin (2 s), ever wait."""

PLUGIN_STOP_TIMEOUT_S = 20.0
"""More than the plugin gives requests under way (5 s) and its queues (8 s) when its backend does not answer."""

_READY = '"message": "ready"'


@dataclass(frozen=True)
class Paths:
    """Where the demo's files go."""

    work_dir: Path

    @property
    def trace_file(self) -> Path:
        return self.work_dir / "trace.json"

    @property
    def page(self) -> Path:
        return self.work_dir / "trace.html"

    @property
    def logs(self) -> Path:
        """The directory of all processes' logs and configurations."""
        return self.work_dir / "logs"


@dataclass(frozen=True)
class Outcome:
    """What a run left beside its files."""

    requests: tuple[WireRequest, ...]
    """What the wire showed, at the frontend's end."""
    faults: tuple[str, ...]
    """Requests that were not answered well, and processes that did not end well."""
    plugin_log: str


def run_demo(paths: Paths, count: int, backend: str | None, tell: Callable[[str], None]) -> Outcome:
    """Send `count` requests through the whole of it; `tell` is given a line for each step. Raises TestbedError."""
    tell("network: node-1 and node-2, whose pods reach each other over VXLAN")
    with two_nodes_vxlan():
        for path in (paths.trace_file, paths.page):  # only now: another run might own them
            path.unlink(missing_ok=True)
        tell("collector-plugin: will take all spans and add the hops")
        with started_plugin(paths, backend) as plugin, started_probes(paths, tell) as probes:
            tell("services: frontend and catalog on node-1, cart on node-2, with sidecars")
            with started_mesh(paths.logs) as mesh:
                requests, faults = _send_watched(count, tell)
                tell("spans: waiting until all are in the trace file")
                _wait_for_traces(paths.trace_file, requests, count)
                tell("the end: services, sidecars, node-probes, collector-plugin stop")
        processes = [*mesh.processes, *probes, plugin]
        faults += [fault for process in processes if (fault := _describe_end(process))]
        return Outcome(requests, tuple(faults), plugin.read_log())


def load_traces(path: Path) -> tuple[Trace, ...]:
    """Return the traces in the file. Raises TraceFileError."""
    return group_traces(load_spans(str(path)))


@contextmanager
def traced_nodes(work_dir: Path, tell: Callable[[str], None]) -> Iterator[Paths]:
    """Hold the network with a plugin, which writes the trace file anew, and both probes. Raises TestbedError."""
    paths = Paths(work_dir)
    with two_nodes_vxlan():
        paths.trace_file.unlink(missing_ok=True)  # only now: another run might own it
        with started_plugin(paths, None), started_probes(paths, tell):
            yield paths


@contextmanager
def started_plugin(paths: Paths, backend: str | None) -> Iterator[ManagedProcess]:
    """Hold a plugin that is ready and writes the trace file. Raises TestbedError."""
    # The file comes first, so it acknowledges: a backend that is away does not keep spans from the demo.
    exporters: dict[str, object] = {FILE_EXPORTER: {"path": str(paths.trace_file)}}
    if backend is not None:
        exporters[OTLP_EXPORTER] = {"endpoint": backend, "tls": {"insecure": True}}
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": PLUGIN_ENDPOINT}}}},
        "exporters": exporters,
        "telemetry": {"metrics": {"endpoint": "localhost:0"}},  # the usual port may be another plugin's
    }
    plugin = _start(None, "collector_plugin", _write_config(paths, "collector-plugin", config))
    try:
        plugin.wait_for_output(_READY, READY_TIMEOUT_S)
        yield plugin
    finally:
        with hold_interrupts():
            plugin.stop(PLUGIN_STOP_TIMEOUT_S)


@contextmanager
def started_probes(paths: Paths, tell: Callable[[str], None]) -> Iterator[list[ManagedProcess]]:
    """Hold a probe on each node, all ready. Raises TestbedError."""
    tell("node-probe, on each node: attaches its kernel programs to the devices")
    probes: list[ManagedProcess] = []
    try:
        for node in NODES:
            exporter = {"endpoint": PLUGIN_ENDPOINT, "tls": {"insecure": True}}
            path = _write_config(paths, f"{node.name}-probe", {"exporters": {"otlp": exporter}})
            # As a DaemonSet tells it by the downward API: the hops then bear k8s.node.name.
            probes.append(_start(node.namespace, "node_probe", path, {"NODE_NAME": node.name}))
        for probe in probes:
            probe.wait_for_output(_READY, READY_TIMEOUT_S)
        yield probes
    finally:
        with hold_interrupts():
            stop_all(probes)


def _write_config(paths: Paths, name: str, config: object) -> Path:
    paths.logs.mkdir(parents=True, exist_ok=True)
    path = paths.logs / f"{name}.yaml"
    path.write_text(json.dumps(config, indent=2))  # JSON is YAML too
    return path


def _start(
    namespace: str | None, module: str, config: Path, environment: dict[str, str] | None = None
) -> ManagedProcess:
    command = [sys.executable, "-m", module, "--config", str(config)]
    return run_in(namespace, command, log_path=config.with_suffix(".log"), environment=environment)


def _send_watched(count: int, tell: Callable[[str], None]) -> tuple[tuple[WireRequest, ...], list[str]]:
    """Send the requests while the frontend's veth is watched; return what went over it, and what was not answered."""
    tell(f"requests: {count} times {CHECKOUT_URL}")
    with WireWatch(FRONTEND.node.namespace, FRONTEND.host_veth) as watch:
        answers = send_requests(count)
        requests = watch.stop()
    failed = [answer.status for answer in answers if answer.status != 200]  # noqa: PLR2004 - HTTP's own number
    return requests, [f"{len(failed)} of {count} requests failed, the first with {failed[0]}"] if failed else []


def _wait_for_traces(path: Path, requests: Sequence[WireRequest], count: int) -> None:
    """Return when the trace file has everything, or when it has stopped growing: what it lacks then is lost."""
    read_bytes = 0

    def has_grown() -> bool:
        return path.stat().st_size > read_bytes

    with suppress(TestbedError):  # it has stopped; the verdict on the run tells what is missing
        while True:
            wait_until(has_grown, "no more spans came", QUIET_TIMEOUT_S)
            read_bytes = path.stat().st_size
            with suppress(TraceFileError):  # the last line is just being written
                if not find_faults(load_traces(path), requests, count):
                    return


def _describe_end(process: ManagedProcess) -> str:
    """Return how a process that should have ended with 0 ended, or an empty text."""
    code = process.stop()
    return f"{process.name} exited with {code}: see {process.log_path}" if code else ""
