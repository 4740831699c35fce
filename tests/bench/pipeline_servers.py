"""Runs the programs whose pipelines are measured, each pinned to one core.

Edge: starts processes.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError
from testbed.peers import choose_ports as choose_free_ports
from testbed.peers import find_collector
from testbed.process import ManagedProcess, run_in
from tests.bench.pipeline_cases import Case, PluginCase, Ports, Protocol, configure

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


def choose_cores() -> tuple[int, int]:
    """Return the core of the server and that of load and sink. Raises TestbedError where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise TestbedError("server and load need a core each, and this process has one")
    return cores[0], cores[1]


@contextmanager
def running_server(case: Case, sinks: Ports, core: int, work_dir: Path) -> Iterator[tuple[ManagedProcess, Ports]]:
    """Hold the case's program, ready, pinned to the core; yield it and where it listens. Raises TestbedError."""
    ports, metrics_port = choose_ports()
    config = work_dir / f"{case.key}.yaml"
    config.write_text(json.dumps(configure(case, ports, sinks, metrics_port)))  # JSON is YAML
    if isinstance(case, PluginCase):
        command, ready = [sys.executable, "-m", "collector_plugin", "--config", str(config)], '"ready"'
    else:
        command, ready = [str(find_collector()), "--config", str(config)], "Everything is ready"
    command = ["taskset", "--cpu-list", str(core), *command]
    with run_in(None, command, log_path=work_dir / f"{case.key}.log") as server:
        server.wait_for_output(ready, READY_TIMEOUT_S)
        yield server, ports
        server.check_alive()
        server.stop(STOP_TIMEOUT_S)


def choose_ports() -> tuple[Ports, int]:
    """Return ports for a server's ways in, and one for its metrics, all of them free now."""
    *own, metrics_port = choose_free_ports(len(Protocol) + 1)
    return dict(zip(Protocol, own, strict=True)), metrics_port
