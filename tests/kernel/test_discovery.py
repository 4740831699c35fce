"""Which points real devices make, in a made-up node: by the kernel's own lists, and with no agent."""

import itertools
import secrets
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_probe.device_dump import list_devices
from node_probe.namespaces import entered, find_namespaces, list_namespaces
from tests.kernel.made_node import Node, run
from tests.kernel.wires import (
    AT_NIC,
    AT_OVERLAY,
    AT_VETH,
    REMOTE,
    add_nic,
    add_overlay,
    add_peer,
    configure,
    plan_in,
    planned,
    plug_in,
    pods,
)
from tests.requirements import require_root

pytestmark = pytest.mark.bpf


@pytest.fixture
def bare() -> Iterator[Node]:
    """Make a node with one pod, where no agent runs."""
    require_root()
    made = Node(secrets.token_hex(3))
    yield made
    made.remove()


def test_overlay_leaves_by_the_route_to_its_peers(bare: Node) -> None:
    """The underlay is where the outer route leads, and moves with it; without peer or route there is none."""
    add_nic(bare, 0)
    add_nic(bare, 1)
    overlay = add_overlay(bare, 1)
    assert planned(bare) == {"veth0": AT_VETH}
    assert [o.name for o in plan_in(bare).objections if "no route" in o.reason] == [overlay]
    add_peer(bare, overlay, REMOTE)
    assert planned(bare) == {"veth0": AT_VETH}
    for gateway, nic in (("192.0.2.2", "nic0"), ("192.0.3.2", "nic1")):
        configure(bare.node, f"route replace {REMOTE}/32 via {gateway}")
        assert planned(bare) == {"veth0": AT_VETH, overlay: AT_OVERLAY, nic: AT_NIC}


def test_peers_by_several_nics_make_several_underlays(bare: Node) -> None:
    """Each AT_NIC that a peer is reached by is one, be it by a route of its own or as one of several next hops."""
    for number in range(3):
        add_nic(bare, number)
    overlay = add_overlay(bare, 1)
    configure(bare.node, f"route add {REMOTE}/32 nexthop via 192.0.3.2 nexthop via 192.0.4.2")
    add_peer(bare, overlay, REMOTE)
    assert planned(bare).keys() == {"veth0", overlay, "nic1", "nic2"}
    add_peer(bare, overlay, "192.0.2.2")
    assert planned(bare).keys() == {"veth0", overlay, "nic0", "nic1", "nic2"}


def test_own_address_among_the_peers_is_no_way_out(bare: Node) -> None:
    """The loopback is no underlay, though the route to an address of the node's own leads there."""
    add_nic(bare, 0)
    overlay = add_overlay(bare, 1)
    add_peer(bare, overlay, "192.0.2.1")
    assert planned(bare).keys() == {"veth0"}
    add_peer(bare, overlay, "192.0.2.2")
    assert planned(bare).keys() == {"veth0", overlay, "nic0"}


def test_source_of_the_overlay_chooses_its_route(bare: Node) -> None:
    """A rule for the address that an overlay sends from decides; an address that is not there yet does not hinder."""
    add_nic(bare, 0)
    add_nic(bare, 1)
    overlay = add_overlay(bare, 1, "local", "192.0.3.1")
    configure(bare.node, f"route add {REMOTE}/32 via 192.0.2.2")
    configure(bare.node, f"route add {REMOTE}/32 via 192.0.3.2 table 7", "rule add from 192.0.3.1 lookup 7")
    add_peer(bare, overlay, REMOTE)
    assert planned(bare).keys() == {"veth0", overlay, "nic1"}
    absent = add_overlay(bare, 2, "local", "192.0.9.9")
    add_peer(bare, absent, REMOTE)
    assert planned(bare).keys() == {"veth0", overlay, absent, "nic0", "nic1"}


def test_two_overlays_have_each_their_underlay(bare: Node) -> None:
    """One is bound to a device, the other is not; an excluded one takes its underlay along."""
    add_nic(bare, 0)
    add_nic(bare, 1)
    bound = add_overlay(bare, 1, "dev", "nic1", "remote", "192.0.3.2")
    free = add_overlay(bare, 2)
    add_peer(bare, free, "192.0.2.2")
    assert planned(bare) == {"veth0": AT_VETH, bound: AT_OVERLAY, free: AT_OVERLAY, "nic0": AT_NIC, "nic1": AT_NIC}
    plan = plan_in(bare, exclude=[bound])
    assert plan.tunnel_ports == (8474,)
    assert len(plan.attachments) == 4 + 4


def test_external_overlay_leaves_by_the_gateways_device(bare: Node) -> None:
    """Cilium's way: the device knows no peer, since each packet brings its own; the route to other nodes decides."""
    add_nic(bare, 0)
    add_nic(bare, 1)
    configure(
        bare.node,
        "link add cilium_host type veth peer name cilium_net",
        "addr add 10.1.0.1/32 dev cilium_host",
        "link set cilium_host up",
        "link set cilium_net up",
        "route add 10.1.0.1 dev cilium_host scope link",
        "route add 10.1.0.0/24 via 10.1.0.1 dev cilium_host",
    )
    overlay = "cilium_vxlan"
    configure(bare.node, f"link add {overlay} type vxlan external dstport 8473", f"link set {overlay} up")
    assert planned(bare) == {"veth0": AT_VETH}
    assert [o.name for o in plan_in(bare).objections if "each packet tells" in o.reason] == [overlay]
    configure(bare.node, "route add default via 192.0.3.2")
    assert planned(bare) == {"veth0": AT_VETH, overlay: AT_OVERLAY, "nic1": AT_NIC}
    configure(bare.node, f"route add {REMOTE}/32 via 192.0.2.2")
    assert planned(bare) == {"veth0": AT_VETH, overlay: AT_OVERLAY, "nic0": AT_NIC, "nic1": AT_NIC}
    assert plan_in(bare).tunnel_ports == (8473,)


def test_pods_without_a_bridge(bare: Node) -> None:
    """Calico's way: the host's ends have no master, but a route of one address each, and answer by proxy ARP."""
    with pods(3) as names:
        for number, name in enumerate(names):
            configure(
                bare.node,
                f"link add cali{number} type veth peer name eth0 netns {name}",
                f"link set cali{number} up",
                f"route add 10.1.0.{number}/32 dev cali{number} scope link",
            )
            run("ip", "netns", "exec", bare.node, "sysctl", "-qw", f"net.ipv4.conf.cali{number}.proxy_arp=1")
            configure(name, "link set eth0 up", f"addr add 10.1.0.{number}/32 dev eth0")
        assert planned(bare) == {"veth0": AT_VETH, "cali0": AT_VETH, "cali1": AT_VETH, "cali2": AT_VETH}
        in_pods = {a.namespace for a in plan_in(bare).attachments if a.host_ifindex}
        assert len(in_pods) == 4
        with entered(Path("/run/netns") / bare.node):
            found = find_namespaces(in_pods)
        assert {place.path.name for place in found.values()} == {bare.pod, *names}


def test_without_an_overlay_the_gateway_tells_the_nic(bare: Node) -> None:
    """Where pods are routed as they are, packets to other nodes leave by the device of a route with a gateway."""
    add_nic(bare, 0)
    add_nic(bare, 1)
    assert planned(bare) == {"veth0": AT_VETH}
    configure(bare.node, "route add 10.244.2.0/24 via 192.0.3.2")
    assert planned(bare) == {"veth0": AT_VETH, "nic1": AT_NIC}
    configure(bare.node, "route add default nexthop via 192.0.2.2 nexthop via 192.0.3.2")
    assert planned(bare) == {"veth0": AT_VETH, "nic0": AT_NIC, "nic1": AT_NIC}
    configure(bare.node, "link del veth0")
    assert planned(bare) == {}


def test_pod_in_the_hosts_network_is_none(bare: Node) -> None:
    """A process in the node's own namespace makes no point, and its namespace is none of a pod's."""
    before = plan_in(bare)
    guest = subprocess.Popen(["ip", "netns", "exec", bare.node, "sleep", "60"])
    try:
        assert plan_in(bare) == before
        with entered(Path("/run/netns") / bare.node):
            own = Path("/proc/thread-self/ns/net").stat().st_ino
            assert own not in list_namespaces()
    finally:
        guest.kill()
        guest.wait()


def test_list_is_whole_while_others_come_and_go(bare: Node) -> None:
    """However many devices come and go while the list is read, one that stays is never missing."""
    over = threading.Event()

    def change() -> None:
        for turn in itertools.count():
            with pods(10) as names:
                plug_in(bare, names, f"turn{turn}pod")
            if over.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with entered(Path("/run/netns") / bare.node):
            for _ in range(200):
                assert {"lo", "br0", "veth0"} <= {device.name for device in list_devices()}
    finally:
        over.set()
        thread.join()


def test_namespace_that_became_another_is_not_entered(bare: Node) -> None:
    """A process may change its namespace, or end and its number be given anew, between search and entry."""
    path = Path("/run/netns") / bare.pod
    inode = path.stat().st_ino
    own = Path("/proc/thread-self/ns/net").stat().st_ino
    with entered(path, inode):
        assert Path("/proc/thread-self/ns/net").stat().st_ino == inode
    with pytest.raises(FileNotFoundError), entered(path, inode + 1):
        pass
    assert Path("/proc/thread-self/ns/net").stat().st_ino == own
