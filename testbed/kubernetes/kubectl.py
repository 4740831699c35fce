"""Speaks to the cluster by the real kubectl: applies manifests, reads objects, waits for a state.

The only module that runs it.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from testbed.errors import TestbedError
from testbed.kubernetes.programs import find_program

COMMAND_TIMEOUT_S = 180.0
"""The longest wait for a state on a busy machine."""


class Kubectl:
    """The command with an administrator's kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    def run(self, *arguments: str, text_input: str = "") -> str:
        """Run a command and return its output. Raises TestbedError with the command's own words."""
        command = [str(find_program("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]
        try:
            done = subprocess.run(
                command, input=text_input, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise TestbedError(f"kubectl {' '.join(arguments)}: {error}") from error
        if done.returncode:
            raise TestbedError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *manifests: str) -> None:
        """Apply manifests in YAML or JSON."""
        self.run("apply", "-f", "-", text_input="\n---\n".join(manifests))

    def read(self, *arguments: str) -> Any:
        """Return what `kubectl get` tells, as values."""
        return json.loads(self.run("get", "-o", "json", *arguments))

    def wait(self, condition: str, *what: str) -> None:
        """Wait until a condition holds (`condition=Ready`, `delete`) for objects. Raises TestbedError."""
        self.run("wait", f"--for={condition}", f"--timeout={COMMAND_TIMEOUT_S - 5:.0f}s", *what)

    def is_ready(self) -> bool:
        """Tell whether the API server serves."""
        try:
            return self.run("get", "--raw", "/readyz", "--request-timeout=2s") == "ok"
        except TestbedError:
            return False
