"""Which devices are points: a flannel node, a Calico node, and what must be left alone."""

import msgspec

from node_probe.devices import OWN_NAMESPACE, Attachment, Device, Side, plan_points, without_pods

NIC = Device(2, "ens3", has_subnet=True)
OVERLAY = Device(7, "any.name", kind="vxlan", vxlan_port=8472, underlays=(2,))
BRIDGE = Device(6, "cni0", kind="bridge", has_subnet=True)
POD_A = Device(11, "veth1234", kind="veth", peer_ifindex=2, peer_namespace=0)
POD_B = Device(12, "cali5678", kind="veth", peer_ifindex=2, peer_namespace=1)
NICS = {2: "ens3", 3: "ens4"}
NODE = [NIC, OVERLAY, BRIDGE, POD_A, POD_B]


def programs(attachments: frozenset[Attachment], ifindex: int, namespace: int = OWN_NAMESPACE) -> set[str]:
    return {a.program for a in attachments if (a.ifindex, a.namespace) == (ifindex, namespace)}


def test_overlay_node_with_pod_points() -> None:
    """With pod points the pods' devices are first and last, and their host ends are in the middle."""
    plan = plan_points(NODE, (), pod=True)
    assert programs(plan.attachments, 2) == {"nic_egress", "nic_ingress"}
    assert programs(plan.attachments, 7) == {"overlay_egress", "overlay_ingress"}
    assert programs(plan.attachments, 11) == programs(plan.attachments, 12) == {"veth_ingress", "veth_egress"}
    assert programs(plan.attachments, 2, 0) == programs(plan.attachments, 2, 1) == {"pod_egress", "pod_ingress"}
    assert len(plan.attachments) == 12
    assert plan.tunnel_ports == (8472,)
    assert plan.reasons == ()


def test_without_pod_points_the_host_end_is_first_and_last() -> None:
    """Nothing is attached in a pod's namespace, and the veth's programs start and end transits themselves."""
    plan = plan_points(NODE, (), pod=False)
    assert programs(plan.attachments, 11) == {"veth_ingress_first", "veth_egress_last"}
    assert {a.namespace for a in plan.attachments} == {-1}


def test_names_do_not_matter() -> None:
    """The same node with every device renamed has the same points."""
    renamed = [msgspec.structs.replace(device, name=f"x{device.ifindex}") for device in NODE]
    assert plan_points(renamed, (), pod=True) == plan_points(NODE, (), pod=True)


def test_excluded_devices_are_left_alone() -> None:
    """Patterns work as in a shell, and each excluded device is told with its reason."""
    plan = plan_points(NODE, ("cali*", "nothing"), pod=True)
    assert programs(plan.attachments, 12) == set()
    assert plan.reasons == ("cali5678: excluded by points.exclude",)


def test_excluded_overlay_takes_its_port_along() -> None:
    """A vxlan device that is excluded does not make the programs open its packets."""
    assert plan_points(NODE, ("any.name",), pod=True).tunnel_ports == ()


def test_veth_that_is_no_pods() -> None:
    """A veth with a subnet is a router's link; one whose peer is here too is no way into a pod."""
    router = Device(20, "mgmt0", kind="veth", peer_ifindex=9, peer_namespace=4, has_subnet=True)
    pair = Device(21, "veth-a", kind="veth", peer_ifindex=22)
    plan = plan_points([router, pair], (), pod=True)
    assert plan.attachments == frozenset()
    assert plan.reasons == (
        "mgmt0: bears a subnet of its own, so it is no pod's",
        "veth-a: its peer is in the same namespace",
    )


def test_underlay_may_be_a_veth() -> None:
    """The device that the outer route leaves by is the underlay, whatever its kind, and never a pod's."""
    nic = Device(2, "eth0", kind="veth", peer_ifindex=2, peer_namespace=3, has_subnet=True)
    plan = plan_points([nic, OVERLAY], (), pod=True)
    assert programs(plan.attachments, 2) == {"nic_egress", "nic_ingress"}


def test_overlay_without_an_underlay() -> None:
    """A vxlan device whose outer route is unknown is no point, and says so."""
    lost = msgspec.structs.replace(OVERLAY, underlays=())
    plan = plan_points([lost], (), pod=True)
    assert plan.attachments == frozenset()
    assert plan.reasons == ("any.name: no route tells which device its outer packets leave by",)


def test_several_overlays_and_underlays() -> None:
    """Each overlay has its own underlay, and all ports are told."""
    other = Device(8, "vxlan.calico", kind="vxlan", vxlan_port=4789, underlays=(3,))
    plan = plan_points([NIC, Device(3, "ens4"), OVERLAY, other], (), pod=True)
    assert programs(plan.attachments, 3) == {"nic_egress", "nic_ingress"}
    assert plan.tunnel_ports == (4789, 8472)


def test_pod_that_cannot_be_entered_is_measured_from_its_host_end() -> None:
    """A pod whose namespace cannot be found is measured from its host end; other pods are as before."""
    attachments = without_pods(plan_points(NODE, (), pod=True).attachments, {11})
    assert programs(attachments, 11) == {"veth_ingress_first", "veth_egress_last"}
    assert programs(attachments, 2, 0) == set()
    assert programs(attachments, 12) == {"veth_ingress", "veth_egress"}
    assert programs(attachments, 2, 1) == {"pod_egress", "pod_ingress"}
    assert without_pods(attachments, set()) == attachments


def test_side_follows_the_point() -> None:
    """Every program is attached on the side that its point names."""
    sides = {a.program: a.side for a in plan_points(NODE, (), pod=True).attachments}
    assert {name for name, side in sides.items() if side is Side.EGRESS} == {
        "nic_egress",
        "overlay_egress",
        "veth_egress",
        "pod_egress",
    }


def test_upper_device_is_the_underlay_alone() -> None:
    """Of bond and slaves, VLAN and parent the one that the outer route names is the underlay, whatever its kind."""
    overlay = msgspec.structs.replace(OVERLAY, underlays=(4,))
    slaves = [Device(2, "ens3", master=4), Device(3, "ens4", master=4)]
    for kind in ("bond", "bridge", "team"):
        plan = plan_points([*slaves, Device(4, "upper", kind=kind, has_subnet=True), overlay], (), pod=True)
        assert {a.ifindex for a in plan.attachments} == {4, 7}
        assert plan.reasons == tuple(
            f"{name}: its packets are met at upper, which stands upon it" for name in NICS.values()
        )
    for kind in ("ipvlan", "macvlan", "vlan"):
        upper = Device(4, "upper", kind=kind, has_subnet=True, parent=2)
        plan = plan_points([Device(2, "ens3"), Device(3, "ens4"), upper, overlay], (), pod=True)
        assert {a.ifindex for a in plan.attachments} == {4, 7}
        assert plan.reasons == ("ens3: its packets are met at upper, which stands upon it",)


def test_uppermost_device_is_the_underlay_alone() -> None:
    """Of a VLAN upon a bond of NICs the VLAN alone, also where the NICs are veths, as in a container."""
    nics = [
        Device(number, name, kind="veth", peer_ifindex=9, peer_namespace=3, master=4) for number, name in NICS.items()
    ]
    bond, vlan = Device(4, "bond0", kind="bond"), Device(5, "bond0.7", kind="vlan", has_subnet=True, parent=4)
    overlay = msgspec.structs.replace(OVERLAY, underlays=(5,))
    plan = plan_points([*nics, bond, vlan, overlay, POD_A], (), pod=True)
    assert {a.ifindex for a in plan.attachments if a.namespace == OWN_NAMESPACE} == {5, 7, 11}
    assert plan.reasons == tuple(
        f"{name}: its packets are met at bond0.7, which stands upon it" for name in (*NICS.values(), "bond0")
    )


def test_parent_and_vlan_may_both_be_underlays() -> None:
    """Where one overlay leaves by a VLAN and another by its parent itself, each has its own."""
    vlan = Device(4, "ens3.5", kind="vlan", has_subnet=True, parent=2)
    other = Device(8, "vxlan.calico", kind="vxlan", vxlan_port=4789, underlays=(4,))
    plan = plan_points([NIC, vlan, OVERLAY, other], (), pod=True)
    assert {a.ifindex for a in plan.attachments} == {2, 4, 7, 8}
    assert plan.reasons == ()


def test_pods_beside_a_nic_in_one_bridge() -> None:
    """The bridge's address reaches other nodes, its NIC carries that, and the pods on it are pods."""
    bridge = Device(6, "br0", kind="bridge", has_subnet=True, has_gateway=True)
    pod, nic = msgspec.structs.replace(POD_A, master=6), Device(2, "ens3", master=6)
    plan = plan_points([nic, bridge, pod], (), pod=False)
    assert programs(plan.attachments, 6) == {"nic_egress", "nic_ingress"}
    assert programs(plan.attachments, 11) == {"veth_ingress_first", "veth_egress_last"}
    assert plan.reasons == ("ens3: its packets are met at br0, which stands upon it",)


def test_devices_that_stand_upon_each_other() -> None:
    """A circle, or a device that is gone, is no trouble: two namespaces may number their devices alike."""
    circle = [Device(2, "a", kind="vlan", parent=3), Device(3, "b", kind="vlan", parent=2, master=99)]
    plan = plan_points([*circle, OVERLAY], (), pod=True)
    assert {a.ifindex for a in plan.attachments} == {2, 7}


def test_excluded_overlay_takes_its_underlay_along() -> None:
    """An underlay carries what is of interest for its overlay alone, or for another that is not excluded."""
    assert programs(plan_points(NODE, ("any.name",), pod=True).attachments, 2) == set()
    other = Device(8, "vxlan.calico", kind="vxlan", vxlan_port=4789, underlays=(2,))
    plan = plan_points([*NODE, other], ("any.name",), pod=True)
    assert programs(plan.attachments, 2) == {"nic_egress", "nic_ingress"}


def test_node_without_an_overlay() -> None:
    """What a gateway's route leaves by is the underlay, but no tunnel, no pod, and on a node without pods nothing."""
    nic = msgspec.structs.replace(NIC, has_gateway=True)
    tunnel = Device(9, "tunl0", kind="ipip", has_gateway=True)
    gateway_pod = msgspec.structs.replace(POD_B, has_gateway=True)
    plan = plan_points([nic, tunnel, POD_A, gateway_pod], (), pod=True)
    assert {a.ifindex for a in plan.attachments if "nic" in a.program} == {2}
    assert programs(plan.attachments, 12) == {"veth_ingress", "veth_egress"}
    assert plan.tunnel_ports == ()
    assert plan_points([nic, tunnel], (), pod=True).attachments == frozenset()


def test_external_overlay_leaves_by_the_gateways_devices() -> None:
    """Cilium's vxlan knows no peers: the ways to other nodes are its underlays, and cilium_host is none of them."""
    external = Device(7, "cilium_vxlan", kind="vxlan", vxlan_port=8472, is_external=True)
    nic = msgspec.structs.replace(NIC, has_gateway=True)
    inward = Device(4, "cilium_host", kind="veth", peer_ifindex=3, has_gateway=True)
    plan = plan_points([nic, inward, external, POD_A], (), pod=True)
    assert programs(plan.attachments, 2) == {"nic_egress", "nic_ingress"}
    assert programs(plan.attachments, 7) == {"overlay_egress", "overlay_ingress"}
    assert plan.tunnel_ports == (8472,)
    assert plan.reasons == ("cilium_host: its peer is in the same namespace",)


def test_external_overlay_without_a_way_to_other_nodes() -> None:
    """Where no route has a gateway it is no point, and says so; one that is excluded brings no underlay."""
    external = Device(7, "cilium_vxlan", kind="vxlan", vxlan_port=8472, is_external=True)
    plan = plan_points([NIC, external, POD_A], (), pod=False)
    assert programs(plan.attachments, 7) == programs(plan.attachments, 2) == set()
    assert plan.reasons == (
        "cilium_vxlan: each packet tells where it goes, and no route with a gateway tells by which device",
    )
    nic = msgspec.structs.replace(NIC, has_gateway=True)
    assert programs(plan_points([nic, external, POD_A], ("cilium*",), pod=False).attachments, 2) == set()


def test_external_overlay_whose_peers_are_written_down() -> None:
    """A device that is bound, or that has peers all the same, leaves by those; so does another overlay beside it."""
    bound = Device(7, "cilium_vxlan", kind="vxlan", vxlan_port=8472, underlays=(3,), is_external=True)
    nics = [msgspec.structs.replace(NIC, has_gateway=True), Device(3, "ens4", has_subnet=True)]
    plan = plan_points([*nics, bound, POD_A], (), pod=False)
    assert {a.ifindex for a in plan.attachments if "nic" in a.program} == {3}
    free = Device(8, "other", kind="vxlan", vxlan_port=4789, is_external=True)
    plan = plan_points([*nics, bound, free], (), pod=False)
    assert {a.ifindex for a in plan.attachments if "nic" in a.program} == {2, 3}
