"""Starts the real programs of one test, each on ports of its own, waits until they serve, and stops them all.

Edge: starts processes. A Collector and Jaeger read the shipped files of otel-config/ as they are, which take places
from the environment; the plugin's files get other places by replacing those that stand in them.
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.peers import choose_ports, find_collector, find_jaeger
from testbed.process import ManagedProcess, run_in, stop_all
from tests.house.repository import ROOT
from tests.requirements import lack

CONFIGS = ROOT / "otel-config"
HOST = "localhost"
START_TIMEOUT_S = 120.0
"""A Collector is ready within a second on an idle machine, and a busy one is not what is tested."""

_STOP_TIMEOUT_S = 1.0
"""Jaeger takes ten seconds to end, and nobody waits for anything of its any more."""

_ANSWER_TIMEOUT_S = 5.0


class Peers:
    """Running programs; `close` ends all of them."""

    def __init__(self, directory: Path) -> None:
        """Keep configurations and logs in the directory."""
        self.directory = directory
        self._running: list[ManagedProcess] = []

    def start_collector(
        self, config: str, environment: Mapping[str, object], within: Sequence[str] = ()
    ) -> ManagedProcess:
        """Start a Collector with a file of otel-config/, once it is healthy; `within` is a command that runs it."""
        program = find_collector()
        if program is None:
            lack("the OpenTelemetry Collector is not built (make peers)")
        health, metrics = choose_ports(2)
        places = {**environment, "HEALTH_ENDPOINT": f"{HOST}:{health}", "METRICS_PORT": metrics}
        command = [*within, str(program), "--config", str(CONFIGS / config)]
        return self.start("collector", command, places, f"http://{HOST}:{health}/")

    def start_jaeger(self, config: str, environment: Mapping[str, object]) -> ManagedProcess:
        """Start Jaeger with a file of otel-config/, once it is healthy."""
        program = find_jaeger()
        if program is None:
            lack("Jaeger is not built (make peers)")
        health, metrics = choose_ports(2)
        places = {**environment, "HEALTH_ENDPOINT": f"{HOST}:{health}", "METRICS_PORT": metrics}
        command = [str(program), "--config", str(CONFIGS / config)]
        return self.start("jaeger", command, places, f"http://{HOST}:{health}/status")

    def start_plugin(self, config: str, places: Mapping[str, str], name: str = "plugin") -> ManagedProcess:
        """Start the plugin with a file of otel-config/, once it is ready; `places`: what stands there -> instead."""
        text = (CONFIGS / config).read_text()
        for shipped, place in {**places, "localhost:29465": f"{HOST}:0"}.items():
            assert text.count(shipped) == 1, f"{config} has {shipped} {text.count(shipped)} times"
            text = text.replace(shipped, place)
        path = self.directory / f"{name}.yaml"
        path.write_text(text)
        process = self.launch(name, [sys.executable, "-m", "collector_plugin", "--config", str(path)], {})
        process.wait_for_output('"ready"', START_TIMEOUT_S)
        return process

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, object], health: str
    ) -> ManagedProcess:
        """Start any program, once the URL `health` answers with 200. Raises TestbedError."""
        process = self.launch(name, command, environment)
        process.wait_until(lambda: _is_healthy(health), f"did not become healthy at {health}", START_TIMEOUT_S)
        return process

    def launch(
        self, name: str, command: Sequence[str], environment: Mapping[str, object], namespace: str | None = None
    ) -> ManagedProcess:
        """Start any program, in a network namespace if told so, and wait for nothing. Raises TestbedError."""
        texts = {key: str(value) for key, value in environment.items()}
        process = run_in(namespace, list(command), log_path=self._log(name), environment=texts)
        self._running.append(process)
        return process

    def close(self) -> None:
        """Stop all."""
        stop_all(self._running, _STOP_TIMEOUT_S)

    def _log(self, name: str) -> Path:
        return self.directory / f"{len(self._running)}-{name}.log"


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - a URL of ours
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
