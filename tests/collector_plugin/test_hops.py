"""From stamps to hops: names, and points that were missed."""

import pytest

from collector_plugin.hops import give_account, list_hops, list_wire
from collector_plugin.ready_hops import Hop
from node_probe.transit import NodeIdentity, Transit, Tunnel
from tests.collector_plugin.builders import (
    NODE_1,
    NODE_2,
    REQUEST,
    RESPONSE,
    US,
    make_half,
    make_transit,
)

VXLAN, NONE = Tunnel.VXLAN, Tunnel.NONE

HOPS = [
    ([1, 2, 3, 4], VXLAN, [("veth-hop", []), ("host-forward", []), ("vxlan-encap", [])]),
    ([2, 3, 4], VXLAN, [("host-forward", []), ("vxlan-encap", [])]),
    ([5, 6, 7, 8], VXLAN, [("vxlan-decap", []), ("host-forward", []), ("veth-hop", [])]),
    ([5, 6, 7], VXLAN, [("vxlan-decap", []), ("host-forward", [])]),
    ([3, 4], Tunnel.GENEVE, [("geneve-encap", [])]),
    ([5, 6], Tunnel.IPIP, [("ipip-decap", [])]),
    ([1, 2, 7, 8], NONE, [("veth-hop", []), ("host-forward", []), ("veth-hop", [])]),
    ([2, 7], NONE, [("host-forward", [])]),
    ([1, 2, 4], NONE, [("veth-hop", []), ("host-forward", [])]),
    ([5, 7, 8], NONE, [("host-forward", []), ("veth-hop", [])]),
    ([2, 4], VXLAN, [("host-forward", ["overlay-egress"])]),
    ([1, 4], VXLAN, [("host-forward", ["veth-ingress", "overlay-egress"])]),
    ([1, 4], NONE, [("host-forward", ["veth-ingress"])]),
    ([1, 3, 4], VXLAN, [("host-forward", ["veth-ingress"]), ("vxlan-encap", [])]),
    ([5, 7], VXLAN, [("host-forward", ["overlay-ingress"])]),
    ([5, 8], VXLAN, [("host-forward", ["overlay-ingress", "veth-egress"])]),
    ([6, 8], VXLAN, [("host-forward", ["veth-egress"])]),
    ([1, 8], NONE, [("host-forward", ["veth-ingress", "veth-egress"])]),
    ([2, 8], NONE, [("host-forward", ["veth-egress"])]),
    ([2, 3], NONE, [("host-forward", [])]),
    ([3, 4], NONE, [("host-forward", [])]),
    ([4], VXLAN, []),
    ([5, 4], VXLAN, [("host-forward", [])]),
]


def list_half(node: NodeIdentity, transit: Transit, offset_ns: int = 0) -> list[Hop]:
    """Return the hops of one node's half."""
    return list_hops(give_account(make_half(node, transit), offset_ns))


@pytest.mark.parametrize(("points", "tunnel", "expected"), HOPS)
def test_hops_are_named_and_missed_points_told(
    points: list[int], tunnel: Tunnel, expected: list[tuple[str, list[str]]]
) -> None:
    """Neighbouring points make a hop; what lies between them and should have been seen is listed."""
    hops = list_half(NODE_1, make_transit({p: n * 10 for n, p in enumerate(points)}, tunnel=tunnel))
    templates = [template for _, _, template, _ in hops]
    assert [(template.name, [point.label for point in template.missed]) for template in templates] == expected
    assert [stop_ns - start_ns for start_ns, stop_ns, *_ in hops] == [10 * US] * len(expected)
    assert [bool(template.tunnel) for template in templates] == [name.endswith("cap") for name, _ in expected]


def test_hops_of_another_clock_are_shifted() -> None:
    """The difference is added to both stamps: durations stay, positions move."""
    ((start_ns, stop_ns, *_),) = list_half(NODE_2, make_transit({5: 100, 6: 130}))
    ((shifted_start_ns, shifted_stop_ns, *_),) = list_half(NODE_2, make_transit({5: 100, 6: 130}), -40 * US)
    assert shifted_start_ns == start_ns - 40 * US
    assert shifted_stop_ns - shifted_start_ns == stop_ns - start_ns == 30 * US


@pytest.mark.parametrize("direction", [REQUEST, RESPONSE])
def test_wire_leads_from_the_sender_to_the_receiver(direction: int) -> None:
    """Whoever is near, the wire begins at the sender's NIC and ends at the receiver's, on the near clock."""
    sender = make_half(NODE_1, make_transit({3: 0, 4: 10}, direction=REQUEST if direction == REQUEST else RESPONSE))
    receiver = make_half(NODE_2, make_transit({5: 110, 6: 120}, direction=sender.course.direction))
    near, far = (sender, receiver) if direction == REQUEST else (receiver, sender)
    for theta_us in (0, 7):
        ((start_ns, stop_ns, template, _),) = list_wire(give_account(near, 0), give_account(far, -theta_us * US))
        assert (template.name, template.start.label, template.stop.label) == ("underlay", "nic-egress", "nic-ingress")
        # A far clock that is ahead makes a request's wire look longer and a response's shorter than it is.
        assert stop_ns - start_ns == (100 - theta_us if direction == REQUEST else 100 + theta_us) * US


@pytest.mark.parametrize(("sent", "received"), [([2, 3], [5, 6]), ([3, 4], [6, 7])])
def test_wire_needs_both_ends(sent: list[int], received: list[int]) -> None:
    """Where a NIC did not see the packet there is no wire hop, rather than one that holds more than the wire."""
    sender = make_half(NODE_1, make_transit({p: n for n, p in enumerate(sent)}))
    receiver = make_half(NODE_2, make_transit({p: 50 + n for n, p in enumerate(received)}))
    assert list_wire(give_account(sender, 0), give_account(receiver, 0)) == []
