"""Interface indexes become unique within the node."""

import msgspec

from node_probe.interfaces import POD_BIT, identify_interfaces
from node_probe.transit import Point, Stamp, Transit
from tests.node_probe.transits import REQUEST, vary

TWO_PODS = {2: (5, 6)}


def interfaces(transit: Transit) -> list[int]:
    return [stamp.ifindex for stamp in transit.stamps]


def test_pod_device_is_known_by_its_host_end() -> None:
    """Both pods call their device number 2; the stamp beside it tells which pod it was."""
    assert interfaces(identify_interfaces(REQUEST, TWO_PODS)) == [POD_BIT | 5, 5, 7, 2]


def test_on_one_node_both_pods_are_told_apart() -> None:
    """Sender and receiver on one node each have their own host end."""
    stamps = tuple(
        Stamp(point, ifindex, ns)
        for ns, (point, ifindex) in enumerate(
            [(Point.POD_EGRESS, 2), (Point.VETH_INGRESS, 5), (Point.VETH_EGRESS, 6), (Point.POD_INGRESS, 2)]
        )
    )
    assert interfaces(identify_interfaces(vary(stamps=stamps), TWO_PODS)) == [POD_BIT | 5, 5, 6, POD_BIT | 6]


def test_missed_host_end() -> None:
    """Without the stamp beside it a device is named if it is the only one with its index, else left unnamed."""
    alone = vary(stamps=(Stamp(Point.POD_EGRESS, 2, 1),))
    assert interfaces(identify_interfaces(alone, {2: (5,)})) == [POD_BIT | 5]
    assert interfaces(identify_interfaces(alone, TWO_PODS)) == [0]
    assert interfaces(identify_interfaces(alone, {})) == [0]


def test_transit_without_pod_points_is_unchanged() -> None:
    """Host indexes are unique as they are."""
    host_only = vary(stamps=REQUEST.stamps[1:])
    assert identify_interfaces(host_only, TWO_PODS) is host_only


def test_nothing_else_changes() -> None:
    """Only interface indexes are touched."""
    changed = identify_interfaces(REQUEST, TWO_PODS)
    assert msgspec.structs.replace(changed, stamps=REQUEST.stamps) == REQUEST
