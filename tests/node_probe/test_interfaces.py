"""Interface indexes become unique within the node."""

from node_probe.interfaces import POD_BIT, identify_interfaces
from node_probe.transit import Point

TWO_PODS = {2: (5, 6)}


def test_pod_device_is_known_by_its_host_end() -> None:
    """Both pods call their device number 2; the stamp beside it tells which pod it was."""
    given = {Point.POD_EGRESS: 2, Point.VETH_INGRESS: 5, Point.OVERLAY_EGRESS: 7, Point.NIC_EGRESS: 2}
    assert identify_interfaces(given, TWO_PODS) == given | {Point.POD_EGRESS: POD_BIT | 5}


def test_on_one_node_both_pods_are_told_apart() -> None:
    """Sender and receiver on one node each have their own host end."""
    given = {Point.POD_EGRESS: 2, Point.VETH_INGRESS: 5, Point.VETH_EGRESS: 6, Point.POD_INGRESS: 2}
    assert list(identify_interfaces(given, TWO_PODS).items()) == [
        (Point.POD_EGRESS, POD_BIT | 5),
        (Point.VETH_INGRESS, 5),
        (Point.VETH_EGRESS, 6),
        (Point.POD_INGRESS, POD_BIT | 6),
    ]


def test_missed_host_end() -> None:
    """Without the stamp beside it a device is named if it is the only one with its index, else left unnamed."""
    alone = {Point.POD_EGRESS: 2}
    assert identify_interfaces(alone, {2: (5,)}) == {Point.POD_EGRESS: POD_BIT | 5}
    assert identify_interfaces(alone, TWO_PODS) == {Point.POD_EGRESS: 0}
    assert identify_interfaces(alone, {}) == {Point.POD_EGRESS: 0}


def test_transit_without_pod_points_is_unchanged() -> None:
    """Host indexes are unique as they are."""
    host_only = {Point.VETH_INGRESS: 5, Point.OVERLAY_EGRESS: 7, Point.NIC_EGRESS: 2}
    assert identify_interfaces(host_only, TWO_PODS) == host_only
