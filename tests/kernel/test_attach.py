"""The whole agent on a made-up node: it attaches where it should, and leaves nothing behind, however it ends.

Needs no overlay and no sidecar, so it runs on other kernels too: by tcx where they have it, by clsact where not.
"""

import os
import re
import signal
from pathlib import Path

import pytest

from node_probe.capabilities import HOST_POINTS, POD_POINTS, choose_kept
from node_probe.programs import PROGRAMS
from tests.kernel.made_node import Node, Probe, expect_late_pod, run, wait_until
from tests.kernel.rights import as_root_with, expect_reduced

pytestmark = pytest.mark.bpf

PROGRAM_COUNT = len(PROGRAMS)


def loaded_programs() -> set[str]:
    """Return the ids of all programs in the kernel."""
    return set(re.findall(r"^(\d+): ", run("bpftool", "prog", "show"), re.MULTILINE))


def test_mechanism_fits_the_kernel(node: Node, tmp_path: Path) -> None:
    """Tcx from kernel 6.6 on, clsact below; either way all four programs of a pod are attached until SIGTERM.

    Started by root, it has given up all rights but those to attach to a pod that comes later. Systemd hears of its
    start and its end, and the health page says that all is well.
    """
    before = node.filters()
    probe = Probe(node, tmp_path)
    major, minor = (int(part) for part in os.uname().release.split(".")[:2])
    assert probe.mechanism == ("tcx" if (major, minor) >= (6, 6) else "clsact")
    assert node.attached() == (4 if probe.mechanism == "tcx" else 0)
    if probe.mechanism == "clsact":
        told = node.filters()
        for program in ("pod_egress", "pod_ingress", "veth_ingress", "veth_egress"):
            assert program in told
    kept = choose_kept(pod=True, tcx=probe.mechanism == "tcx")
    for_children = kept if probe.mechanism == "clsact" else set()
    assert probe.capabilities() == {
        "CapEff": kept,
        "CapPrm": kept,
        "CapBnd": kept,
        "CapInh": for_children,
        "CapAmb": for_children,
    }
    assert probe.manager.recv(100) == f"READY=1\nSTATUS=4 points by {probe.mechanism}".encode()
    assert probe.read_health() == (200, {"status": "ok", "reasons": []})
    probe.end(signal.SIGTERM)
    assert probe.manager.recv(100) == b"STOPPING=1"
    assert node.attached() == 0
    wait_until(lambda: node.filters() == before, "the state from before")


@pytest.mark.parametrize(
    ("number", "wrapper"),
    [
        (signal.SIGTERM, []),
        (signal.SIGINT, as_root_with(HOST_POINTS | POD_POINTS)),
        (signal.SIGKILL, as_root_with(HOST_POINTS | POD_POINTS)),
    ],
    ids=["SIGTERM", "SIGINT with five capabilities", "SIGKILL with five capabilities"],
)
def test_nothing_is_left_behind(node: Node, tmp_path: Path, number: int, wrapper: list[str]) -> None:
    """Filters, qdiscs and programs are gone after an orderly stop, and after SIGKILL."""
    before = node.filters()
    probe = Probe(node, tmp_path, wrapper=wrapper)
    programs = probe.program_ids()
    assert len(programs) >= PROGRAM_COUNT
    status = probe.end(number)
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 0), probe.log.read_text()
    wait_until(lambda: node.filters() == before, "the state from before")
    wait_until(lambda: not programs & loaded_programs(), "the end of our programs")


def test_foreign_filters_stay(node: Node, tmp_path: Path) -> None:
    """Filters of others, on the same devices and at the same priority too, are untouched by start and end."""
    for place, device in ((("tc", "-n", node.node), "veth0"), (("tc", "-n", node.pod), "eth0")):
        run(*place, "qdisc", "add", "dev", device, "clsact")
        for priority in ("1", "10"):
            filter_of_priority = (
                *place,
                "filter",
                "add",
                "dev",
                device,
                "ingress",
                "prio",
                priority,
                "protocol",
                "arp",
            )
            # Classic BPF that matches nothing: the classifier that ours uses too, and no kernel lacks it.
            run(*filter_of_priority, "bpf", "bytecode", "1,6 0 0 0,", "flowid", "1:1")
    before = node.filters()
    for number in (signal.SIGTERM, signal.SIGKILL):
        Probe(node, tmp_path).end(number)
        wait_until(lambda: node.filters() == before, "the state from before")


def test_pod_that_comes_and_goes(node: Node, tmp_path: Path) -> None:
    """A veth that appears later is attached, and its namespace is not kept alive when the pod goes.

    Started with the five documented capabilities alone, of which then only those for this are left.
    """
    probe = Probe(node, tmp_path, wrapper=as_root_with(HOST_POINTS | POD_POINTS))
    expect_reduced(probe, pod=True)
    assert probe.capabilities()["CapBnd"] == HOST_POINTS | POD_POINTS  # which nobody can lower without SETPCAP
    expect_late_pod(node, probe, 4)
    probe.end(signal.SIGTERM)
