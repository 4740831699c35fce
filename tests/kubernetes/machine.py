"""Tells what a cluster could leave on the machine: devices, routes, namespaces, mounts, rules, cgroups, processes.

Changes nothing. What others make at the same time is left out, such as the testbed.
"""

import json
import re
import socket
from pathlib import Path

from testbed.command import run_command
from testbed.kubernetes.cluster import DIRECTORY, list_cgroups
from testbed.kubernetes.topology import NAMESPACE_PREFIX, ROOT_LINK_PREFIX
from testbed.namespace import list_namespaces
from testbed.topology import BRIDGE_DEVICE, OVERLAY_DEVICE

State = dict[str, list[str]]

_LINK = re.compile(rf"{ROOT_LINK_PREFIX}|kube|{re.escape(BRIDGE_DEVICE)}$|{re.escape(OVERLAY_DEVICE)}$")
_NAMESPACE = re.compile(rf"{NAMESPACE_PREFIX}|cni-")


def describe_machine() -> State:
    """Return all of it, as lines."""
    routes = json.loads(run_command(["ip", "-json", "route", "show", "table", "all"]))
    return {
        "links": [name for _, name in socket.if_nameindex() if _LINK.match(name)],
        "routes": [str(route) for route in routes if _LINK.match(route.get("dev", ""))],
        "namespaces": [name for name in list_namespaces("") if _NAMESPACE.match(name)],
        "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(DIRECTORY) in line],
        "rules": [line for line in run_command(["iptables-save"]).splitlines() if "KUBE" in line],
        "cgroups": [str(path) for path in list_cgroups()],
        "processes": run_command(["pgrep", "--list-full", "-f", str(DIRECTORY)], check=False).splitlines(),
        "files": [str(path) for path in (DIRECTORY,) if path.exists()],
    }
