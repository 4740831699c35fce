"""Where the real programs lie that tests and benchmarks stand beside, and ports for them.

Edge: looks at files and sockets. The programs are built by build_*.sh (`make peers`).
"""

import os
import random
import re
import socket
from pathlib import Path

from testbed.repository import ROOT

_PEERS = ROOT / "tests" / "peers"
_COLLECTOR_VERSION = re.compile(r"^  version: (\S+)$", re.MULTILINE)
_REQUIRED_VERSION = re.compile(r"^require \S+ v(\S+)$", re.MULTILINE)

_PORTS = range(20_000, 32_000)
"""Below those of outgoing connections on Linux (32768 and up), which could take one before its program does."""


def find_cache() -> Path:
    """Return the directory in which peers are kept from run to run."""
    # As the XDG Base Directory Specification has it, an empty variable is none.
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hopspan" / "peers"


def find_collector() -> Path | None:
    """Return the path of the Collector that its manifest describes; None where it was not built."""
    return _find("collector", _COLLECTOR_VERSION, _PEERS / "collector.yaml", "otelcol")


def find_jaeger() -> Path | None:
    """Return the path of Jaeger; None where it was not built."""
    return _find("jaeger", _REQUIRED_VERSION, _PEERS / "jaeger.mod", "jaeger")


def find_hotrod() -> Path | None:
    """Return the path of Jaeger's demo application; None where it was not built."""
    return _find("jaeger", _REQUIRED_VERSION, _PEERS / "jaeger.mod", "hotrod")


def find_helm() -> Path | None:
    """Return the path of Helm; None where it was not built."""
    return _find("helm", _REQUIRED_VERSION, _PEERS / "helm.mod", "helm")


def find_promtool() -> Path | None:
    """Return the path of promtool; None where it was not built."""
    return _find("promtool", _REQUIRED_VERSION, _PEERS / "promtool.mod", "promtool")


def find_kubernetes(program: str) -> Path | None:
    """Return the path of a program of Kubernetes, etcd or CNI; None where it was not built."""
    return _find("kubernetes", _REQUIRED_VERSION, _PEERS / "kubernetes.mod", program)


def find_coredns() -> Path | None:
    """Return the path of the name server; None where it was not built."""
    return _find("coredns", _REQUIRED_VERSION, _PEERS / "coredns.mod", "coredns")


def choose_ports(count: int) -> list[int]:
    """Return ports that are free now.

    The programs do not tell which port they were given, so it cannot be left to the system.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.choice(_PORTS)  # noqa: S311 - chance keeps two runs apart
        if port not in ports and _is_free(port):
            ports.append(port)
    return ports


def _find(name: str, version: re.Pattern[str], manifest: Path, program: str) -> Path | None:
    found = version.search(manifest.read_text())
    assert found
    path = find_cache() / f"{name}-{found[1]}" / program
    return path if path.exists() else None


def _is_free(port: int) -> bool:
    try:
        # Wildcard addresses and 127.0.0.2 and so on are taken with it.
        with socket.create_server(("", port)):
            return True
    except OSError:
        return False
