"""The agent follows what changes on its node by netlink's news: pods, overlays, routes. No verdict is on speed."""

import json
import signal
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from node_probe.attach import ATTACH_LIMIT
from tests.kernel.made_node import Node, Probe, run, wait_until
from tests.kernel.wires import REMOTE, add_nic, add_overlay, add_peer, configure, plug_in, pods, programs_at

pytestmark = pytest.mark.bpf

PODS = 23
"""More than one call attaches, at four points each."""

CHURN_ROUNDS = 10


def read_log(probe: Probe) -> Iterator[Mapping[str, Any]]:
    for line in probe.log.read_text().splitlines():
        yield json.loads(line)


def expect_points(probe: Probe, count: int) -> None:
    """Wait until the agent has that many points and, as far as it knows, no failure."""

    def reached() -> bool:
        told = [entry for entry in read_log(probe) if "points" in entry]
        return bool(told) and told[-1]["points"] == count and not told[-1].get("failures")

    wait_until(reached, f"{count} points")


def count_descriptors(probe: Probe) -> int:
    return sum(1 for _ in Path(f"/proc/{probe.process.pid}/fd").iterdir())


def expect_programs(places: Mapping[tuple[str, str], int]) -> None:
    """Wait until so many programs of ours are at each device of each namespace."""
    for (namespace, device), count in places.items():
        reached = partial(have_programs, namespace, device, count)
        wait_until(reached, f"{count} programs at {device}")


def have_programs(namespace: str, device: str, count: int) -> bool:
    return programs_at(namespace, device) == count


def test_pods_that_come_and_go_all_at_once(node: Node, tmp_path: Path) -> None:
    """All are attached, at both ends; when they go, what was attached is let go, and no descriptor stays."""
    assert 4 * PODS > ATTACH_LIMIT
    probe = Probe(node, tmp_path)
    before = count_descriptors(probe)
    with pods(PODS) as names:
        plug_in(node, names)
        expect_points(probe, 4 + 4 * PODS)
        for number, name in enumerate(names):
            assert programs_at(name, "eth0") == programs_at(node.node, f"late{number}") == 2
    expect_points(probe, 4)
    wait_until(lambda: count_descriptors(probe) <= before, "the end of the pods' descriptors")
    assert [entry for entry in read_log(probe) if entry["level"] == "error"] == []
    assert probe.end(signal.SIGTERM) == 0


def test_pods_that_go_while_they_are_attached(node: Node, tmp_path: Path) -> None:
    """Pods that live for a moment cost the agent nothing but a line: it goes on, and attaches the one that stays."""
    probe = Probe(node, tmp_path)
    for turn in range(CHURN_ROUNDS):
        with pods(5) as names:
            plug_in(node, names, f"turn{turn}pod")
    with pods(1) as names:
        plug_in(node, names, "last")
        expect_programs({(names[0], "eth0"): 2, (node.node, "last0"): 2})
        expect_points(probe, 8)
        assert probe.process.poll() is None
    expect_points(probe, 4)
    assert probe.read_health()[0] == 200
    assert probe.end(signal.SIGTERM) == 0


def test_overlay_that_comes_and_moves(node: Node, tmp_path: Path) -> None:
    """An overlay is a point once its peers are known and can be reached, and its underlay follows the outer route."""
    probe = Probe(node, tmp_path)
    nics = add_nic(node, 0), add_nic(node, 1)
    overlay = add_overlay(node, 1)
    here = node.node
    configure(here, f"route add {REMOTE}/32 via 192.0.2.2")
    # Of the peer only the news of a neighbour tells.
    add_peer(node, overlay, REMOTE)
    expect_programs({(here, overlay): 2, (here, nics[0]): 2, (here, nics[1]): 0})
    configure(here, f"route replace {REMOTE}/32 via 192.0.3.2")
    expect_programs({(here, overlay): 2, (here, nics[0]): 0, (here, nics[1]): 2})
    # Of the rule only its own news tells, since the table's route was there before.
    configure(here, f"route add {REMOTE}/32 via 192.0.2.2 table 7")
    configure(here, f"rule add to {REMOTE}/32 lookup 7")
    expect_programs({(here, nics[0]): 2, (here, nics[1]): 0})
    # Without it what other nodes are reached by are the routes' own devices.
    configure(here, f"link del {overlay}", "rule del lookup 7")
    expect_programs({(here, nics[0]): 2, (here, nics[1]): 2})
    configure(here, "route flush table 7", f"route del {REMOTE}/32")
    expect_points(probe, 4)
    expect_programs({(here, nics[0]): 0, (here, nics[1]): 0})
    assert probe.end(signal.SIGTERM) == 0


def test_overlay_of_ipv6_that_moves(node: Node, tmp_path: Path) -> None:
    """Of routes and rules of IPv6 nothing but their own news tells, and the underlay follows them too."""
    probe = Probe(node, tmp_path)
    nics, here, remote = (add_nic(node, 0), add_nic(node, 1)), node.node, "2001:db8:ffff::9"
    configure(here, *(f"addr add 2001:db8:{number}::1/64 dev {nic} nodad" for number, nic in enumerate(nics)))
    overlay = add_overlay(node, 1, "local", "2001:db8::1")
    configure(here, f"route add {remote}/128 via 2001:db8::2")
    add_peer(node, overlay, remote)
    # Once an address is found to be nobody else's there is news of it, which would hide that of the route.
    wait_until(lambda: "tentative" not in run("ip", "-n", here, "-6", "addr"), "addresses that are sure")
    expect_programs({(here, overlay): 2, (here, nics[0]): 2, (here, nics[1]): 0})
    configure(here, f"route replace {remote}/128 via 2001:db8:1::2")
    expect_programs({(here, overlay): 2, (here, nics[0]): 0, (here, nics[1]): 2})
    configure(here, f"route add {remote}/128 via 2001:db8::2 table 7")
    run("ip", "-n", here, "-6", "rule", "add", "to", f"{remote}/128", "lookup", "7")
    expect_programs({(here, nics[0]): 2, (here, nics[1]): 0})
    configure(here, f"link del {overlay}")
    expect_programs({(here, nics[0]): 2, (here, nics[1]): 2})
    assert probe.end(signal.SIGTERM) == 0


def test_device_that_turns_out_to_be_no_pods(node: Node, tmp_path: Path) -> None:
    """A veth that is given a subnet is a router's link: its points end with the news of the address alone."""
    probe = Probe(node, tmp_path)
    with pods(1) as names:
        plug_in(node, names)
        expect_points(probe, 8)
        # The device is down: no route comes with the address.
        configure(node.node, "link set late0 down", "addr add 192.0.2.1/24 dev late0")
        expect_points(probe, 4)
        configure(node.node, "addr flush dev late0")
        expect_points(probe, 8)
    assert probe.end(signal.SIGTERM) == 0
