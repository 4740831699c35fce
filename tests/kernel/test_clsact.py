"""Attaching by clsact, on kernels with tcx too: what is released goes, and so does what a kill at any moment leaves.

The filters are the attacher's own, with a program that does nothing.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from hopspan.logs import Log
from node_probe.__main__ import main
from node_probe.attach import Attacher
from node_probe.bpf import load_idle_program
from node_probe.device_dump import list_devices
from node_probe.devices import Attachment, Plan, plan_points
from node_probe.guardian import remove_filters
from node_probe.namespaces import entered
from node_probe.programs import PROGRAMS
from tests.house.repository import ROOT
from tests.kernel.made_node import DEADLINE_S, Node, run, wait_until

pytestmark = pytest.mark.bpf

NO_POINTS = Plan(frozenset(), (), ())
FOREIGN = ("ingress", "prio", "1", "protocol", "arp", "bpf", "bytecode", "1,6 0 0 0,", "flowid", "1:1")


@pytest.fixture
def programs() -> Iterator[Mapping[str, int]]:
    """Load a program that does nothing, and let it stand for all."""
    fd = load_idle_program()
    yield dict.fromkeys(PROGRAMS, fd)
    os.close(fd)


@pytest.fixture
def attacher(node: Node, programs: Mapping[str, int]) -> Iterator[Attacher]:
    """Make an attacher, and be in the node's namespace as it has to be."""
    with (
        entered(Path("/run/netns") / node.node),
        closing(Attacher(programs, Log(), tcx=False)) as attacher,
    ):
        yield attacher


def plan_now(*, pod: bool = True) -> Plan:
    """Return the plan for the current namespace."""
    return plan_points(list_devices(), (), pod=pod)


def apply(attacher: Attacher, plan: Plan) -> int:
    """Apply the plan to its end, which on a slow machine takes more than the agent gives to one turn."""
    failures = attacher.apply(plan)
    while attacher.has_more:
        failures = attacher.apply(plan)
    return failures


def count_filters(node: Node, program: str) -> int:
    return node.filters().count(f"-{program} ")


def test_released_points_leave_nothing(node: Node, attacher: Attacher) -> None:
    """A device that is no pod's any more loses filters and qdiscs at both its ends while the agent lives."""
    before = node.filters()
    assert apply(attacher, plan_now()) == 0
    assert node.filters().count("hopspan-") == len(attacher.attached) == 4
    run("ip", "-n", node.node, "addr", "add", "192.0.2.1/24", "dev", "veth0")
    assert apply(attacher, plan_now()) == 0
    assert attacher.attached == frozenset()
    assert node.filters() == before


def test_what_is_not_released_stays(node: Node, attacher: Attacher) -> None:
    """A point that changes its program leaves the other devices', and others' filters at its own, as they are."""
    for place, device in ((("tc", "-n", node.node), "veth0"), (("tc", "-n", node.pod), "eth0")):
        run(*place, "qdisc", "add", "dev", device, "clsact")
        run(*place, "filter", "add", "dev", device, *FOREIGN)
    before = node.filters()
    plan = plan_now()
    gone = next(iter(a for a in plan.attachments if a.program == "pod_egress"))
    apply(attacher, plan)
    apply(attacher, Plan(plan.attachments - {gone}, (), ()))
    assert count_filters(node, "pod_egress") == 0
    assert count_filters(node, "pod_ingress") == count_filters(node, "veth_ingress") == 1
    apply(attacher, plan_now(pod=False))
    assert node.filters().count("hopspan-") == 2
    assert count_filters(node, "veth_ingress_first") == count_filters(node, "veth_egress_last") == 1
    apply(attacher, NO_POINTS)
    assert node.filters() == before


def test_new_pod_of_the_same_id_keeps_its_filters(node: Node, attacher: Attacher) -> None:
    """A namespace's id and a device's index may be a later pod's: what that one holds is not removed."""
    first = next(iter(a for a in plan_now().attachments if a.program == "pod_egress"))
    second = Attachment(first.ifindex, first.program, first.namespace, first.host_ifindex + 1)
    apply(attacher, Plan(frozenset({first, second}), (), ()))
    apply(attacher, Plan(frozenset({second}), (), ()))
    assert count_filters(node, "pod_egress") > 0
    apply(attacher, NO_POINTS)
    assert count_filters(node, "pod_egress") == 0


def test_guardian_keeps_no_pod_alive(node: Node, attacher: Attacher) -> None:
    """Whichever device is first, the guardian runs in the node's namespace: a pod's it would keep from ending."""
    plan = plan_now()
    apply(attacher, Plan(frozenset(a for a in plan.attachments if a.host_ifindex), (), ()))
    assert node.filters().count("hopspan-") == 2
    assert run("ip", "netns", "pids", node.pod) == ""


KILLED_AGENT = """
import os, signal, socket, sys
from hopspan.logs import Log
from node_probe.attach import Attacher
from node_probe.devices import Attachment, Plan
from node_probe.netlink import Netlink

def die(*_):
    if sys.argv[1] == "both":
        os.kill(attacher._guardian._process.pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

Netlink._add_filter = die
attacher = Attacher({"veth_ingress": -1}, Log(), tcx=False)
attacher.apply(Plan(frozenset({Attachment(socket.if_nametoindex("veth0"), "veth_ingress")}), (), ()))
"""


def kill_between_qdisc_and_filter(node: Node, who: str) -> None:
    """Run an agent that is killed right after it has made a qdisc."""
    command = ["ip", "netns", "exec", node.node, sys.executable, "-c", KILLED_AGENT, who]
    done = subprocess.run(command, cwd=ROOT, timeout=DEADLINE_S, check=False)
    assert done.returncode == -9


def test_kill_between_qdisc_and_filter(node: Node) -> None:
    """The guardian removes the qdisc that has no filter yet."""
    before = node.filters()
    kill_between_qdisc_and_filter(node, "agent")
    wait_until(lambda: node.filters() == before, "the state from before")


def test_kill_of_both_between_qdisc_and_filter(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    """`node-probe clean` removes the qdisc where the guardian was killed too, and says so."""
    before = node.filters()
    kill_between_qdisc_and_filter(node, "both")
    assert "clsact" in node.filters()
    assert main(["clean"]) == 0
    assert f"removed our clsact, which held nothing, from veth0 in /run/netns/{node.node}" in capsys.readouterr().out
    assert node.filters() == before


@pytest.mark.parametrize("is_ours_at_first", [False, True], ids=["made by another", "taken over by another"])
def test_empty_qdisc_of_another_stays(
    node: Node, programs: Mapping[str, int], capsys: pytest.CaptureFixture[str], *, is_ours_at_first: bool
) -> None:
    """A clsact that another has made, or has set anew, is left by everything of ours, although it holds nothing."""
    if is_ours_at_first:
        kill_between_qdisc_and_filter(node, "both")
    run("tc", "-n", node.node, "qdisc", "replace", "dev", "veth0", "clsact")
    before = node.filters()
    assert "clsact" in before
    with (
        entered(Path("/run/netns") / node.node),
        closing(Attacher(programs, Log(), tcx=False)) as attacher,
    ):
        apply(attacher, plan_now())
        apply(attacher, NO_POINTS)
        assert node.filters() == before
        apply(attacher, plan_now())
    remove_filters("hopspan-")
    assert main(["clean"]) == 0
    assert "which held nothing" not in capsys.readouterr().out
    assert node.filters() == before


def test_refused_filter_takes_our_qdisc_along(node: Node) -> None:
    """Where the kernel takes the qdisc and refuses the filter, none of both is left."""
    before = node.filters()
    with (
        entered(Path("/run/netns") / node.node),
        Path("/dev/null").open() as no_program,
        closing(Attacher({"veth_ingress": no_program.fileno()}, Log(), tcx=False)) as attacher,
    ):
        attachment = Attachment(socket.if_nametoindex("veth0"), "veth_ingress")
        assert apply(attacher, Plan(frozenset({attachment}), (), ())) == 1
        assert node.filters() == before
