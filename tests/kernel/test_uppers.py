"""Underlays with real packets: devices that stand upon others, and both IP versions in and around the tunnel.

For the kinds of devices that the kernel has. Runs on other kernels too: Debian's have all of them.
"""

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.kernel.joined_node import NICS, OVERLAY, JoinedNode, make_joined_node
from tests.kernel.made_node import Node, Probe, wait_until
from tests.kernel.metrics_page import read_hop_counts
from tests.kernel.wires import (
    AT_NIC,
    AT_OVERLAY,
    AT_VETH,
    add_nic,
    add_overlay,
    add_peer,
    configure,
    plan_in,
    planned,
    programs_at,
)
from tests.requirements import require_bcc, require_root

pytestmark = pytest.mark.bpf

EXCHANGES = 23
UPPER = "upper"

BOND = (
    "link add {} type bond mode active-backup",
    *(line for nic in NICS for line in (f"link set {nic} down", f"link set {nic} master {{}}", f"link set {nic} up")),
)
STACKS: dict[str, Sequence[str]] = {
    "macvlan": (f"link add {UPPER} link {NICS[0]} type macvlan mode bridge",),
    "vlan": (f"link add {UPPER} link {NICS[0]} type vlan id 5",),
    "vlan within a vlan": (
        f"link add middle link {NICS[0]} type vlan proto 802.1ad id 7",
        "link set middle up",
        f"link add {UPPER} link middle type vlan id 5",
    ),
    "bond": tuple(line.format(UPPER) for line in BOND),
    "vlan upon a bond": (
        *(line.format("middle") for line in BOND),
        "link set middle up",
        f"link add {UPPER} link middle type vlan id 5",
    ),
}
"""By name, what makes an upper device out of two NICs."""

WAY = (
    *(("veth-hop", "request"), ("host-forward", "request"), ("vxlan-encap", "request")),
    *(("vxlan-decap", "response"), ("host-forward", "response"), ("veth-hop", "response")),
)
"""The hops of an exchange on the client's node."""


@pytest.fixture
def joined_node() -> Iterator[JoinedNode]:
    require_root()
    require_bcc()
    made = make_joined_node()
    yield made
    made.remove()


def list_stacks(node: Node) -> Iterator[str]:
    """Yield the stacks whose kinds the kernel has."""
    configure(node.node, "link add tried0 type veth peer name tried1")
    for name, lines in STACKS.items():
        kinds = {line.partition(" type ")[2].split()[0] for line in lines if " type " in line}
        if all(has_kind(node, kind) for kind in kinds):
            yield name
    configure(node.node, "link del tried0")


def has_kind(node: Node, kind: str) -> bool:
    words = {"bond": "type bond", "macvlan": "link tried0 type macvlan", "vlan": "link tried0 type vlan id 5"}[kind]
    command = ["ip", "-n", node.node, "link", "add", "tried", *words.split()]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        return False
    configure(node.node, "link del tried")
    return True


def has_programs(node: Node, device: str) -> bool:
    return all(programs_at(node.node, found) == 2 for found in (OVERLAY, device))


def expect_hops(node: Node, expected: Mapping[tuple[str, str], float], name: str) -> None:
    """Wait until as many hops were counted as are expected, which must be those."""
    found: Mapping[tuple[str, str], float] = {}

    def is_enough() -> bool:
        nonlocal found
        found = read_hop_counts(node)
        return sum(found.values()) >= sum(expected.values())

    with contextlib.suppress(AssertionError):
        wait_until(is_enough, f"all hops with {name}")
    assert found == expected, name  # says more than that they did not come about


def test_bridge_is_the_underlay_of_its_nic(joined_node: JoinedNode) -> None:
    """Where the AT_NIC is a bridge's port, the bridge has the address, and is what the route names."""
    overlay = add_overlay(joined_node, 1)
    add_peer(joined_node, overlay, "192.0.2.2")
    nic = add_nic(joined_node, 2)
    lines = [f"link add {UPPER} type bridge", f"link set {nic} master {UPPER}", f"link set {UPPER} up"]
    configure(joined_node.node, *lines, f"addr flush dev {nic}", f"addr add 192.0.2.1/24 dev {UPPER}")
    found = planned(joined_node)
    assert (found[overlay], found[UPPER]) == (AT_OVERLAY, AT_NIC)
    assert nic not in found


def test_upper_device_is_the_underlay_alone(joined_node: JoinedNode) -> None:
    """Of VLAN and parent, bond and slaves, and both together: what the route names, and the others say why not."""
    for name in list_stacks(joined_node):
        with joined_node.joined(UPPER, STACKS[name]):
            assert planned(joined_node) == {"veth0": AT_VETH, OVERLAY: AT_OVERLAY, UPPER: AT_NIC}, name
            reasons = {o.name: o.reason for o in plan_in(joined_node).objections}
            covered = {"nic0", *(("nic1",) if "bond" in name else ()), *(("middle",) if " " in name else ())}
            for device in covered:
                assert reasons[device] == f"its packets are met at {UPPER}, which stands upon it", name


def list_ways(node: Node) -> Iterator[tuple[str, str, Sequence[str], int, int]]:
    """Yield a name, the underlay device, what makes it, and the IP versions inside and outside."""
    yield from (
        (f"IPv{inside} in IPv{outside}", NICS[0], (), inside, outside) for inside in (4, 6) for outside in (4, 6)
    )
    yield from ((name, UPPER, STACKS[name], 4, 4) for name in list_stacks(node))


def test_what_leaves_by_any_underlay_is_measured(joined_node: JoinedNode, tmp_path: Path) -> None:
    """Each message is measured on its whole way through the node, at the upper device and at none below."""
    probe = Probe(joined_node, tmp_path)
    for turn, (name, device, lines, inside, outside) in enumerate(list_ways(joined_node), 1):
        with joined_node.joined(device, lines, inside=inside, outside=outside):
            wait_until(partial(has_programs, joined_node, device), f"points at {device} with {name}")
            with joined_node.connection(inside) as connection:
                connection.exchange(EXCHANGES)
            expect_hops(joined_node, dict.fromkeys(WAY, float(turn * EXCHANGES)), name)
    assert probe.end(signal.SIGTERM) == 0
