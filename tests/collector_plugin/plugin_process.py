"""The real command in a process of its own, as attackers meet it: its ports, its counts and its memory."""

import contextlib
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0

CONFIG = """
receivers:
  otlp: {protocols: {grpc: {endpoint: "localhost:0"}, http: {endpoint: "localhost:0"}}}
  zipkin: {endpoint: "localhost:0"}
exporters: {file: {path: /dev/null}}
telemetry: {metrics: {endpoint: "localhost:0"}}
"""


class PluginProcess:
    """A running plugin whose spans go nowhere."""

    def __init__(self, path: Path, text: str = CONFIG) -> None:
        """Start it with the configuration, which is written to `path`."""
        path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "collector_plugin", "--config", str(path)]
        self._process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        self.ready: dict[str, Any] = json.loads(self._process.stderr.readline())
        """The log line of its start, with the ports."""
        assert self.ready["message"] == "ready", self.ready

    def read_peak_bytes(self) -> int:
        """Return the most that its resident memory was since `forget_peak`."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def forget_peak(self) -> None:
        """Begin anew with what it has now (proc(5), clear_refs)."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5", encoding="ascii")

    def read_metrics(self) -> dict[str, float]:
        """Return the samples of its metrics, by name with labels."""
        with urllib.request.urlopen(f"http://localhost:{self.ready['metrics_port']}/metrics", timeout=20) as page:
            lines = page.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def stop(self) -> dict[str, Any]:
        """End it, in order; return the counts that it told."""
        self._process.send_signal(signal.SIGTERM)
        _, log = self._process.communicate(timeout=2 * DEADLINE_S)
        assert self._process.returncode == 0, log
        stopped: dict[str, Any] = json.loads(log.splitlines()[-1])
        return stopped

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def run_plugin(directory: Path, text: str = CONFIG) -> Iterator[PluginProcess]:
    """Hold a running plugin."""
    plugin = PluginProcess(directory / "plugin.yaml", text)
    try:
        yield plugin
    finally:
        plugin.kill()
