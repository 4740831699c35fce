"""Which points real devices make where nodes and pods have IPv6 addresses, in a made-up node, with no agent."""

import secrets
from collections.abc import Iterator

import pytest

from tests.kernel.made_node import Node, run
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
)
from tests.requirements import require_root

pytestmark = pytest.mark.bpf

REMOTE = "2001:db8:ffff::9"
"""Another node, reached by a route and no subnet of ours."""


@pytest.fixture
def bare() -> Iterator[Node]:
    """Make a node with one pod, where no agent runs, and two NICs with a subnet of IPv6 each."""
    require_root()
    made = Node(secrets.token_hex(3))
    for number in range(2):
        name = add_nic(made, number)
        configure(made.node, f"addr add 2001:db8:{number}::1/64 dev {name} nodad")
    yield made
    made.remove()


def test_overlay_leaves_by_the_route_to_its_peers(bare: Node) -> None:
    """The underlay is where the outer route leads, and moves with it; without peer or route there is none."""
    overlay = add_overlay(bare, 1, "local", "2001:db8:0::1")
    add_peer(bare, overlay, REMOTE)
    assert planned(bare) == {"veth0": AT_VETH}
    assert [o.name for o in plan_in(bare).objections if "no route" in o.reason] == [overlay]
    for gateway, nic in (("2001:db8::2", "nic0"), ("2001:db8:1::2", "nic1")):
        configure(bare.node, f"route replace {REMOTE}/128 via {gateway}")
        assert planned(bare) == {"veth0": AT_VETH, overlay: AT_OVERLAY, nic: AT_NIC}


def test_remote_of_the_device_itself_is_a_peer(bare: Node) -> None:
    """A tunnel between two nodes names its other end, and needs no forwarding entry."""
    overlay = add_overlay(bare, 1, "remote", "2001:db8:1::2")
    assert planned(bare) == {"veth0": AT_VETH, overlay: AT_OVERLAY, "nic1": AT_NIC}


def test_peers_by_several_nics_make_several_underlays(bare: Node) -> None:
    """One of several next hops is a way as a route of its own is; a way that is closed is none."""
    overlay = add_overlay(bare, 1, "local", "2001:db8:0::1")
    configure(bare.node, f"route add unreachable {REMOTE}/128")
    add_peer(bare, overlay, REMOTE)
    assert planned(bare).keys() == {"veth0"}
    configure(bare.node, f"route del unreachable {REMOTE}/128")
    configure(bare.node, f"route add {REMOTE}/128 nexthop via 2001:db8:0::2 nexthop via 2001:db8:1::2")
    assert planned(bare).keys() == {"veth0", overlay, "nic0", "nic1"}


def test_own_address_among_the_peers_is_no_way_out(bare: Node) -> None:
    """The loopback is no underlay, though the route to an address of the node's own leads there."""
    overlay = add_overlay(bare, 1, "local", "2001:db8:0::1")
    add_peer(bare, overlay, "2001:db8:0::1")
    assert planned(bare).keys() == {"veth0"}
    add_peer(bare, overlay, "2001:db8:0::2")
    assert planned(bare).keys() == {"veth0", overlay, "nic0"}


def test_source_of_the_overlay_chooses_its_route(bare: Node) -> None:
    """A rule for the address that an overlay sends from decides; an address that is not there yet does not hinder."""
    configure(bare.node, f"route add {REMOTE}/128 via 2001:db8:0::2")
    configure(bare.node, f"route add {REMOTE}/128 via 2001:db8:1::2 table 7")
    run("ip", "-n", bare.node, "-6", "rule", "add", "from", "2001:db8:1::1", "lookup", "7")
    overlay = add_overlay(bare, 1, "local", "2001:db8:1::1")
    add_peer(bare, overlay, REMOTE)
    assert planned(bare).keys() == {"veth0", overlay, "nic1"}
    absent = add_overlay(bare, 2, "local", "2001:db8:9::9")
    add_peer(bare, absent, REMOTE)
    assert planned(bare).keys() == {"veth0", overlay, absent, "nic0", "nic1"}


def test_overlay_for_each_family(bare: Node) -> None:
    """A node of both families has an overlay for each, as flannel makes them, which may leave by different NICs."""
    of_ipv4, of_ipv6 = add_overlay(bare, 1), add_overlay(bare, 2, "local", "2001:db8:1::1")
    add_peer(bare, of_ipv4, "192.0.2.2")
    add_peer(bare, of_ipv6, "2001:db8:1::2")
    assert planned(bare) == {
        "veth0": AT_VETH,
        of_ipv4: AT_OVERLAY,
        of_ipv6: AT_OVERLAY,
        "nic0": AT_NIC,
        "nic1": AT_NIC,
    }
    assert plan_in(bare).tunnel_ports == (8473, 8474)


def test_overlay_bound_to_a_device_among_link_local_addresses(bare: Node) -> None:
    """Link-local addresses say nothing without a device: the overlay's own tells."""
    overlay = add_overlay(bare, 1, "dev", "nic1", "local", "fe80::1", "remote", "fe80::2")
    assert planned(bare) == {"veth0": AT_VETH, overlay: AT_OVERLAY, "nic1": AT_NIC}


def test_without_an_overlay_the_gateway_tells_the_nic(bare: Node) -> None:
    """Packets to other nodes' pods leave by the device of a route with a gateway, of either family."""
    assert planned(bare) == {"veth0": AT_VETH}
    configure(bare.node, "route add 2001:db8:a2::/64 via fe80::2 dev nic1")
    assert planned(bare) == {"veth0": AT_VETH, "nic1": AT_NIC}
    configure(bare.node, "route add ::/0 nexthop via 2001:db8:0::2 nexthop via 2001:db8:1::2")
    assert planned(bare) == {"veth0": AT_VETH, "nic0": AT_NIC, "nic1": AT_NIC}
    configure(bare.node, "route del ::/0", "route del 2001:db8:a2::/64")
    configure(bare.node, "route add 10.244.2.0/24 via inet6 fe80::2 dev nic0")
    assert planned(bare) == {"veth0": AT_VETH, "nic0": AT_NIC}


def test_pods_own_route_and_addresses_change_nothing(bare: Node) -> None:
    """A pod's host end with its link-local address, one of /128 and the route to its pod is a pod's still."""
    configure(
        bare.node,
        "addr add 2001:db8:a1::1/128 dev veth0 nodad",
        "route add 2001:db8:a1::10/128 dev veth0",
        "route add 2001:db8:a2::/64 via 2001:db8:0::2",
    )
    assert planned(bare) == {"veth0": AT_VETH, "nic0": AT_NIC}
    configure(bare.node, "addr add 2001:db8:a9::1/64 dev veth0 nodad")
    assert planned(bare) == {}
    (objection,) = [o for o in plan_in(bare).objections if o.name == "veth0"]
    assert objection.reason == "bears a subnet of its own, so it is no pod's"
