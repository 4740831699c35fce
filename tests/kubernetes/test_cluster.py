"""The cluster that the tests stand on has what they lean on: two nodes of this version, and no rights by default."""

import json

import pytest

from testbed.errors import TestbedError
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.programs import find_program
from tests.kubernetes.topology import NODES

pytestmark = pytest.mark.kubernetes


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
