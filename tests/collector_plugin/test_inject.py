"""The network span: every field and attribute, as the design has it."""

import hashlib

from collector_plugin.clocks import ClockSource
from collector_plugin.describe import describe_source
from collector_plugin.halves import Half, Origin
from collector_plugin.hops import give_account, list_hops, list_wire
from collector_plugin.inject import inject_hops
from collector_plugin.messages import Message
from collector_plugin.network_span import AttributeValue, NetworkSpan
from collector_plugin.parent import Parent
from collector_plugin.places import Place
from collector_plugin.ready_hops import Hop
from node_probe.transit import message_key
from tests.collector_plugin.builders import (
    EPOCH_NS,
    MS,
    NODE_2,
    OFFSET_NS,
    RESPONSE,
    SERVER_POD,
    SPAN_ID,
    TRACE_ID,
    US,
    make_half,
    make_node,
    make_transit,
)

PARENT = Parent(b"", EPOCH_NS, EPOCH_NS + 40 * MS, TRACE_ID)
NODE = make_node("node-1", k8s="kind-worker")
NEAR = make_half(NODE, make_transit({3: 1021, 4: 1032}))
FAR = make_half(NODE_2, make_transit({5: 1150, 8: 1180}, server=SERVER_POD))
MESSAGE = Message(message_key(NEAR.raw.decode()), PARENT, b"")


def inject_near(parent: Parent = PARENT, attempt: int = 1) -> NetworkSpan:
    """Return the span of the near half's only hop."""
    return inject_half(NEAR, parent, attempt)


def inject_half(
    half: Half, parent: Parent = PARENT, attempt: int = 1, clock: ClockSource | None = None
) -> NetworkSpan:
    """Return the span of a half's only hop."""
    groups = (describe_source(clock),) if clock is not None else ()
    return inject_one(list_hops(give_account(half, OFFSET_NS, clock, groups)), parent, attempt)


def inject_one(hops: list[Hop], parent: Parent = PARENT, attempt: int = 1) -> NetworkSpan:
    """Return the span of the only hop."""
    (span,) = inject_hops(hops, MESSAGE, parent, attempt)
    return span


def list_attributes(span: NetworkSpan) -> dict[str, AttributeValue]:
    """Return the attributes; their order is tested once."""
    return dict(span.attributes)


def test_hop_of_the_near_node() -> None:
    """All that a tunnelled hop of the parent's own node has, in its fixed order."""
    span = inject_near()
    assert (span.trace_id, span.parent_id, span.flags, span.name) == (TRACE_ID, SPAN_ID, 1, "vxlan-encap")
    assert (span.start_ns, span.end_ns) == (EPOCH_NS + 1021 * US, EPOCH_NS + 1031 * US)
    assert span.attributes == (
        ("hopspan.direction", "request"),
        ("hopspan.from", "overlay-egress"),
        ("hopspan.to", "nic-egress"),
        ("hopspan.duration_ns", 11_000),
        ("hopspan.node", "node-1"),
        ("k8s.node.name", "kind-worker"),
        ("network.interface.name", "ens3"),
        ("source.address", "10.244.1.2"),
        ("source.port", 40_000),
        ("destination.address", "10.96.0.10"),
        ("destination.port", 8080),
        ("tunnel.type", "vxlan"),
        ("tunnel.id", "1"),
        ("tunnel.source.address", "192.168.7.1"),
        ("tunnel.destination.address", "192.168.7.2"),
    )


def test_id_is_the_hash_that_the_design_names() -> None:
    """BLAKE2b over `hop`, the message key and both point numbers; computed here by other means."""
    key = b"".join(
        (
            TRACE_ID,
            SPAN_ID,
            bytes([0]),
            (4242).to_bytes(4, "little"),
            (100).to_bytes(4, "little"),
            (40_000).to_bytes(2, "little"),
            bytes(10) + b"\xff\xff" + bytes([10, 244, 1, 2]),
            bytes(4),
        )
    )
    assert inject_near().span_id == hashlib.blake2b(b"hop" + key + b"\x03\x04", digest_size=8).digest()


def test_wire_names_the_sender_and_the_addresses_on_it() -> None:
    """The wire is the sender's: its node and device; the addresses are those that the far node saw."""
    far = give_account(FAR, OFFSET_NS, ClockSource.SAME, (describe_source(ClockSource.SAME),))
    span = inject_one(list_wire(give_account(NEAR, OFFSET_NS), far))
    attributes = list_attributes(span)
    assert (span.name, attributes["hopspan.from"], attributes["hopspan.to"]) == (
        "underlay",
        "nic-egress",
        "nic-ingress",
    )
    assert (attributes["hopspan.node"], attributes["network.interface.name"]) == ("node-1", "ens3")
    assert attributes["destination.address"] == SERVER_POD
    assert attributes["tunnel.type"] == "vxlan"
    assert span.attributes[-1] == ("hopspan.clock.source", "same")


def test_response_goes_from_the_server_to_the_client() -> None:
    """Source and destination follow the packet."""
    half = make_half(NODE_2, make_transit({2: 0, 3: 5}, direction=RESPONSE))
    attributes = list_attributes(inject_half(half))
    assert attributes["hopspan.direction"] == "response"
    assert (attributes["source.address"], attributes["source.port"]) == ("10.96.0.10", 8080)
    assert (attributes["destination.address"], attributes["destination.port"]) == ("10.244.1.2", 40_000)
    assert "tunnel.type" not in attributes
    assert "k8s.node.name" not in attributes


def test_attempt_clipping_and_missed_points_are_marked() -> None:
    """What is not the usual case says so, and only then."""
    short = Parent(b"", EPOCH_NS, EPOCH_NS + 1160 * US, TRACE_ID)
    span = inject_half(FAR, short, 3, ClockSource.EPOCH)
    assert span.attributes[-4:] == (
        ("hopspan.attempt", 3),
        ("hopspan.clipped", True),
        ("hopspan.missed", ("overlay-ingress", "veth-egress")),
        ("hopspan.clock.source", "epoch"),
    )
    assert span.end_ns == EPOCH_NS + 1160 * US
    usual = list_attributes(inject_near())
    assert not {"hopspan.attempt", "hopspan.clipped", "hopspan.missed", "hopspan.clock.source"} & usual.keys()


def test_unknown_device_and_ipv6() -> None:
    """A device that the batch does not name is left out; IPv6 addresses are written as such."""
    transit = make_transit({2: 0, 3: 5}, server="2001:db8::1")
    half = make_half(NODE, transit)
    attributes = list_attributes(inject_half(Half(half.raw, Origin(Place(NODE, {}), OFFSET_NS))))
    assert "network.interface.name" not in attributes
    assert attributes["destination.address"] == "2001:db8::1"
