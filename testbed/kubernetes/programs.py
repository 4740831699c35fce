"""Where the cluster's programs lie, and what this machine lacks for it. Edge: looks at files.

Kubernetes, its name server and Helm are built by tests/peers/build_*.sh (`make kubernetes`). containerd and runc are
the distribution's, unpacked by make and not installed, since an installed one is a service that starts.
"""

import os
import shutil
from pathlib import Path

from testbed import peers
from testbed.errors import TestbedError
from testbed.repository import ROOT
from testbed.requirements import missing_requirements

_TOOLS = ROOT / "build" / "tools" / "usr"
TOOLS_PATH = f"{_TOOLS / 'bin'}:{_TOOLS / 'sbin'}:{os.environ.get('PATH', '')}"
"""The PATH on which containerd finds its shim, and the shim runc."""

_COMMANDS = {
    "nsenter": "util-linux",
    "busybox": "busybox-static",
    "openssl": "openssl",
    "pgrep": "procps",
    "iptables": "iptables",
}
_UNPACKED = ("containerd", "runc")
_BRIDGE_NETFILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


def find_program(name: str) -> Path:
    """Return the path of a program of Kubernetes, etcd or CNI. Raises TestbedError."""
    return _need(peers.find_kubernetes(name), name)


def find_coredns() -> Path:
    """Return the path of the name server. Raises TestbedError."""
    return _need(peers.find_coredns(), "CoreDNS")


def find_helm() -> Path:
    """Return the path of Helm. Raises TestbedError."""
    return _need(peers.find_helm(), "Helm")


def find_hotrod() -> Path:
    """Return the path of Jaeger's demo application. Raises TestbedError."""
    return _need(peers.find_hotrod(), "HotROD")


def find_tool(name: str) -> Path:
    """Return the path of one of containerd's programs. Raises TestbedError."""
    found = shutil.which(name, path=TOOLS_PATH)
    if found is None:
        raise TestbedError(f"{name} is not unpacked (make test-kubernetes)")
    return Path(found)


def missing_kubernetes() -> list[str]:
    """Return what is missing, a line each; empty where the cluster can run."""
    missing = missing_requirements()
    missing += [
        f"{command}: no such command (package {package})"
        for command, package in _COMMANDS.items()
        if not shutil.which(command)
    ]
    built = {
        "Kubernetes": peers.find_kubernetes("kubectl"),
        "CoreDNS": peers.find_coredns(),
        "Helm": peers.find_helm(),
        "Jaeger": peers.find_jaeger(),
    }
    missing += [f"{name} is not built (make kubernetes)" for name, path in built.items() if path is None]
    missing += [
        f"{name} is not unpacked (make test-kubernetes)"
        for name in _UNPACKED
        if not shutil.which(name, path=TOOLS_PATH)
    ]
    if not _BRIDGE_NETFILTER.exists():
        missing.append("the kernel lacks br_netfilter (modprobe br_netfilter)")
    return missing


def _need(path: Path | None, name: str) -> Path:
    if path is None:
        raise TestbedError(f"{name} is not built (make kubernetes)")
    return path
