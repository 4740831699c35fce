"""Says what a report was measured on: machine, kernel, versions, time."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from hopspan.version import VERSION
from testbed.load import find_command

_PACKAGES = ("grpcio", "msgspec", "protobuf")
_COMMANDS = {"wrk": "-v", "tcpdump": "--version", "nginx": "-v"}
_COMMAND_TIMEOUT_S = 10


def describe_machine() -> dict[str, Any]:
    """Return the head of a report."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    versions = {"hopspan": VERSION, "python": platform.python_version()}
    versions |= {package: importlib.metadata.version(package) for package in _PACKAGES}
    versions |= {name: _first_version([find_command(name) or name, option]) for name, option in _COMMANDS.items()}
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cpu": cpu[1] if cpu else platform.processor(),
            "cores": len(os.sched_getaffinity(0)),
            "architecture": platform.machine(),
            "load_average_at_start": os.getloadavg()[0],
        },
        "kernel": platform.release(),
        "versions": versions,
    }


def _first_version(command: list[str]) -> str:
    """Return the first version number that the command prints, on whichever stream and with whichever exit code."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False)
    except OSError:
        return "missing"
    found = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return found[0] if found else "unknown"
