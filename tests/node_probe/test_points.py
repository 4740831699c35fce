"""What `node-probe points` prints: the same survey as a table and as JSON."""

import json

from node_probe.devices import Device, plan_points
from node_probe.points import Survey, render

POD_NAME = "e\x1b[2J"
DEVICES = (
    Device(1, "lo"),
    Device(2, "ens3", has_subnet=True),
    Device(7, "flannel.1", kind="vxlan", vxlan_port=8472, underlays=(2,)),
    Device(9, "docker0", kind="bridge", has_subnet=True),
    Device(10, "wg0", kind="wireguard"),
    Device(11, "veth1234", kind="veth", peer_ifindex=2, peer_namespace=0),
    Device(12, "dockerveth", kind="veth", peer_ifindex=2, peer_namespace=1),
)
SURVEY = Survey(
    devices=DEVICES,
    plan=plan_points(DEVICES, ["docker*"], pod=True),
    mechanism="tcx",
    namespaces={0: "/run/netns/pod-a"},
    pod_names={11: POD_NAME},
    not_seen=("the moon",),
)

TABLE = r"""
DEVICE     INDEX  WHERE                              POINT            PROGRAM          BY
ens3       2      node                               nic-egress       nic_egress       tcx
ens3       2      node                               nic-ingress      nic_ingress      tcx
flannel.1  7      node                               overlay-egress   overlay_egress   tcx
flannel.1  7      node                               overlay-ingress  overlay_ingress  tcx
veth1234   11     node                               veth-egress      veth_egress      tcx
veth1234   11     node                               veth-ingress     veth_ingress     tcx
e\x1b[2J   2      pod of veth1234, /run/netns/pod-a  pod-egress       pod_egress       tcx
e\x1b[2J   2      pod of veth1234, /run/netns/pod-a  pod-ingress      pod_ingress      tcx

NO POINT    INDEX  REASON
lo          1      no overlay's outer packets leave by it
docker0     9      no overlay's outer packets leave by it
wg0         10     tunnels of kind wireguard are not read in this version
dockerveth  12     excluded by points.exclude

not seen: the moon
"""


def test_table() -> None:
    """Each point is a line, a pod's below its host end, and no name that a pod chose reaches the terminal raw."""
    assert render(SURVEY, as_json=False) == TABLE.lstrip("\n")


def test_json_says_the_same() -> None:
    """Every point and every device of the table is there, under names."""
    told = json.loads(render(SURVEY, as_json=True))
    assert told.keys() == {"mechanism", "tunnel_ports", "points", "devices_without_points", "not_seen"}
    assert len(told["points"]) == 8
    assert told["points"][-1] == {
        "device": POD_NAME,
        "ifindex": 2,
        "side": "pod",
        "namespace": "/run/netns/pod-a",
        "host_device": "veth1234",
        "point": "pod-ingress",
        "direction": "ingress",
        "program": "pod_ingress",
        "mechanism": "tcx",
    }
    assert told["tunnel_ports"] == [8472]
    assert told["devices_without_points"][-1] == {
        "device": "dockerveth",
        "ifindex": 12,
        "kind": "veth",
        "reason": "excluded by points.exclude",
    }
    assert told["not_seen"] == ["the moon"]


def test_first_and_last_programs_lie_at_the_same_points() -> None:
    """Without pod points the host's ends begin and end transits: other programs, the same points."""
    told = json.loads(
        render(Survey(devices=DEVICES, plan=plan_points(DEVICES, (), pod=False), mechanism="clsact"), as_json=True)
    )
    veth = {(p["point"], p["program"]) for p in told["points"] if p["device"] == "veth1234"}
    assert veth == {("veth-ingress", "veth_ingress_first"), ("veth-egress", "veth_egress_last")}


def test_node_without_anything() -> None:
    """A machine that is no node is told so, and each of its devices has its reason."""
    devices = (Device(1, "lo"), Device(2, "ens3", has_gateway=True))
    text = render(Survey(devices=devices, plan=plan_points(devices, (), pod=True), mechanism="tcx"), as_json=False)
    assert text.splitlines() == [
        "nothing would be attached",
        "",
        "NO POINT  INDEX  REASON",
        "lo        1      there is neither a pod nor an overlay",
        "ens3      2      there is neither a pod nor an overlay",
    ]


def test_pod_that_could_not_be_looked_into() -> None:
    """Its device has no name and its namespace no path: unknown is not the same as empty."""
    survey = Survey(devices=DEVICES, plan=plan_points(DEVICES, (), pod=True), mechanism="tcx")
    (device,) = {p["device"] for p in json.loads(render(survey, as_json=True))["points"] if p["side"] == "pod"}
    assert device is None
    assert "?           2      pod of veth1234 " in render(survey, as_json=False)


def test_device_below_the_underlay_says_where_its_packets_are_met() -> None:
    """Of a VLAN and its parent the VLAN is the point, and the parent is told why it is none."""
    devices = (
        Device(2, "ens3"),
        Device(3, "ens3.5", kind="vlan", has_subnet=True, parent=2),
        Device(7, "flannel-v6.1", kind="vxlan", vxlan_port=8472, underlays=(3,)),
    )
    told = json.loads(
        render(Survey(devices=devices, plan=plan_points(devices, (), pod=True), mechanism="tcx"), as_json=True)
    )
    assert {point["device"] for point in told["points"]} == {"ens3.5", "flannel-v6.1"}
    assert [(device["device"], device["reason"]) for device in told["devices_without_points"]] == [
        ("ens3", "its packets are met at ens3.5, which stands upon it")
    ]


def test_external_overlay_tells_by_which_rule_other_devices_are_none() -> None:
    """Where each packet brings its own node, the routes with a gateway decide, and every device says so."""
    devices = (
        Device(2, "ens3", has_subnet=True, has_gateway=True),
        Device(3, "ens4", has_subnet=True),
        Device(4, "cilium_host", kind="veth", peer_ifindex=5, has_gateway=True),
        Device(7, "cilium_vxlan", kind="vxlan", vxlan_port=8472, is_external=True),
    )
    told = json.loads(
        render(Survey(devices=devices, plan=plan_points(devices, (), pod=True), mechanism="tcx"), as_json=True)
    )
    assert {point["device"] for point in told["points"]} == {"ens3", "cilium_vxlan"}
    assert [(device["device"], device["reason"]) for device in told["devices_without_points"]] == [
        ("ens4", "no overlay's outer packets are known to leave by it, and no route with a gateway does"),
        ("cilium_host", "its peer is in the same namespace"),
    ]
