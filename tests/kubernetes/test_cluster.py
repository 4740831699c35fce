"""The cluster that the tests stand on has what they lean on: two nodes of this version, and no rights by default."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.command import run_command
from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.kubernetes.cluster import Cluster
from testbed.kubernetes.programs import find_program
from testbed.kubernetes.topology import NODES
from tests.house.repository import ROOT

pytestmark = pytest.mark.kubernetes

END_TIMEOUT_S = 60.0
STARTER = """
import pathlib, signal, sys
from testbed.kubernetes.node import RunningNode
from testbed.kubernetes.topology import NODE_1
RunningNode(NODE_1, pathlib.Path(sys.argv[1], "again")).start_containerd()
print("up", flush=True)
signal.pause()
"""
"""Starts the processes of a node once more, beside the running one in its network, and holds them."""


def render_pod(security: dict[str, object]) -> str:
    """Return a pod of one container with this security context, as a manifest."""
    container = {
        "name": "pause",
        "image": "localhost/pause:1",
        "imagePullPolicy": "Never",
        "securityContext": security,
    }
    pod = {"metadata": {"name": "asks"}, "spec": {"containers": [container]}}
    return json.dumps({"apiVersion": "v1", "kind": "Pod"} | pod)


def test_nodes_are_two(cluster: Cluster) -> None:
    """Each has its name and address, and runs the kubelet that was built."""
    nodes = {node["metadata"]["name"]: node["status"] for node in cluster.kubectl.read("nodes")["items"]}
    assert set(nodes) == {node.name for node in NODES}
    for node in NODES:
        assert {"type": "InternalIP", "address": str(node.underlay_address)} in nodes[node.name]["addresses"]
        assert nodes[node.name]["nodeInfo"]["kubeletVersion"] in str(find_program("kubelet")).replace("-1.", "-v1.")


def test_privileged_pod_is_refused(cluster: Cluster) -> None:
    """So whatever is installed in these tests goes without."""
    with pytest.raises(TestbedError, match="privileged"):
        cluster.kubectl.apply(render_pod({"privileged": True}))


@pytest.mark.parametrize("who", [["system:serviceaccount:default:default"], ["system:node:node-1", "system:nodes"]])
def test_account_may_nothing(cluster: Cluster, who: list[str]) -> None:
    """RBAC is at work: an account without a role lists no Secrets, and no node does."""
    user, *groups = who
    options = [f"--as={user}", *(f"--as-group={group}" for group in groups)]
    with pytest.raises(TestbedError, match="forbidden"):
        cluster.kubectl.run("get", "secrets", "--namespace", "kube-system", *options)


def test_killed_run_leaves_no_process(cluster: Cluster, tmp_path: Path) -> None:
    """Whoever started a node is killed: its processes end, though each is a session of its own, and so its mounts."""
    del cluster

    def list_processes() -> list[str]:
        return run_command(["pgrep", "--list-full", "-f", str(tmp_path)], check=False).splitlines()

    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        assert any("containerd" in line for line in list_processes())
        starter.kill()
    wait_until(lambda: not list_processes(), "processes stay", END_TIMEOUT_S)
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
