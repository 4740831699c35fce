"""The chart is removed: nothing of it stays on the nodes, in the kernel or in the cluster."""

import pytest

from testbed.command import run_command
from testbed.kubernetes.node import RunningNode
from testbed.kubernetes.topology import NODES
from tests.kubernetes.chart import NAMESPACE, RELEASE, Chart
from tests.kubernetes.hotrod import HotRod
from tests.testbed.kernel_state import BpfObjects, list_held_objects, require_tools, wait_for_release

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]

RIDES = 3
OUR_PROCESSES = "node[-_]probe|collector[-_]plugin"


def list_probe_objects(node: RunningNode) -> BpfObjects:
    """Return what the node's probe holds in the kernel."""
    command = ["pgrep", "--ns", str(node.pid), "--nslist", "net", "-f", OUR_PROCESSES]
    held = [list_held_objects(int(pid)) for pid in run_command(command).split()]
    return BpfObjects(
        frozenset[int]().union(*(objects.programs for objects in held)),
        frozenset[int]().union(*(objects.maps for objects in held)),
        frozenset[int]().union(*(objects.links for objects in held)),
    )


def test_uninstall_leaves_nothing(chart: Chart, hotrod: HotRod) -> None:
    """No process, nothing on the nodes' devices, no BPF program, no object; the application goes on."""
    require_tools()
    chart.ensure()
    nodes = [chart.cluster.nodes[node] for node in NODES]
    held = [list_probe_objects(node) for node in nodes]
    assert all(objects.programs and objects.maps and objects.links for objects in held)
    chart.uninstall()
    for node, objects in zip(nodes, held, strict=True):
        wait_for_release(objects)
        assert "clsact" not in node.run("tc", "qdisc", "show")
        assert node.list_processes(OUR_PROCESSES) == []
    kinds = ",".join(chart.cluster.kubectl.run("api-resources", "--verbs=list", "-o", "name").split())
    labelled = ("get", kinds, "-A", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name", "--ignore-not-found")
    assert chart.cluster.kubectl.run(*labelled) == ""
    assert chart.cluster.kubectl.run("get", "secrets", "-n", NAMESPACE, "-o", "name") == ""
    hotrod.ride(RIDES)
