"""The plugin as a process with a configuration of the test's own, on ports of the system's choice.

Edge: starts a process.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.process import ManagedProcess, run_in

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
ANY_PORT = "127.0.0.1:0"
ALL_RECEIVERS = {
    "otlp": {"protocols": {"grpc": {"endpoint": ANY_PORT}, "http": {"endpoint": ANY_PORT}}},
    "zipkin": {"endpoint": ANY_PORT},
}


@contextmanager
def running_plugin(
    work_dir: Path, exporters: Mapping[str, Any], receivers: Mapping[str, Any] = ALL_RECEIVERS
) -> Iterator[dict[str, str]]:
    """Hold a plugin; yields where each of its receivers listens, by name: otlp_grpc, otlp_http, zipkin."""
    config = work_dir / "plugin.yaml"
    settings = {
        "receivers": receivers,
        "exporters": exporters,
        "telemetry": {"metrics": {"endpoint": ANY_PORT}},
    }
    config.write_text(json.dumps(settings))  # JSON is YAML
    with running_plugin_of(config, work_dir) as (_, listening):
        yield listening


@contextmanager
def running_plugin_of(config: Path, work_dir: Path) -> Iterator[tuple[ManagedProcess, dict[str, str]]]:
    """Hold a plugin with a configuration; yields it and where each of its receivers listens. It must end with 0."""
    command = [sys.executable, "-m", "collector_plugin", "--config", str(config)]
    with run_in(None, command, log_path=work_dir / "plugin.log") as process:
        line = process.wait_for_output(r'^\{.*"message": ?"ready".*\}$', READY_TIMEOUT_S)[0]
        ready = json.loads(line)
        yield process, {name: ready[name] for name in ("otlp_grpc", "otlp_http", "zipkin") if name in ready}
        assert process.stop(STOP_TIMEOUT_S) == 0, process.read_log_tail()
