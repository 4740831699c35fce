"""Makes a hop into a network span: the span's fields and attributes, as docs and design name them.

Pure. The same hop always gives the same span, so that a batch sent twice is one span to a backend.
"""

import ipaddress

import msgspec

from collector_plugin.messages import Message, ReadyHop
from collector_plugin.parents import Parent
from collector_plugin.placement import place_hop
from node_probe.transit import Direction, Transit, Tunnel, derive_id

AttributeValue = str | int | bool | tuple[str, ...]


class NetworkSpan(msgspec.Struct, frozen=True):
    """A hop as a span, for any exporter's codec. Its kind is INTERNAL."""

    trace_id: bytes
    parent_id: bytes
    span_id: bytes
    flags: int
    name: str
    start_ns: int
    end_ns: int
    attributes: tuple[tuple[str, AttributeValue], ...]
    """In a fixed order, for Jaeger takes two spans for one only where their bytes are equal."""


class Emission(msgspec.Struct, frozen=True):
    """Network spans of one parent."""

    resource: bytes
    """The fields `resource` and `schema_url` of the parent's ResourceSpans, byte for byte."""
    spans: tuple[NetworkSpan, ...]


def inject_hop(ready: ReadyHop, message: Message, parent: Parent, attempt: int) -> NetworkSpan:
    """Return the span that shows the hop under `parent`; `attempt` counts the sendings of the message from 1."""
    hop, context = ready.hop, ready.half.transit.context
    placement = place_hop(ready.from_epoch_ns, ready.to_epoch_ns, parent)
    attributes: list[tuple[str, AttributeValue]] = [
        ("hopspan.direction", ready.seen.direction.label),
        ("hopspan.from", hop.start.point.label),
        ("hopspan.to", hop.stop.point.label),
        ("hopspan.duration_ns", hop.duration_ns),
        *_describe_node(ready),
        *_describe_addresses(ready.seen),
    ]
    if hop.is_tunnelled:
        attributes += _describe_tunnel(ready.half.transit)
    if attempt > 1:
        attributes.append(("hopspan.attempt", attempt))
    if placement.is_clipped:
        attributes.append(("hopspan.clipped", True))
    if hop.missed:
        attributes.append(("hopspan.missed", tuple(point.label for point in hop.missed)))
    if ready.clock is not None:
        attributes.append(("hopspan.clock.source", ready.clock.value))
    return NetworkSpan(
        trace_id=context.trace_id,
        parent_id=context.parent_id,
        span_id=derive_id(b"hop" + message.key + bytes((hop.start.point, hop.stop.point))),
        flags=context.flags & 0xFF,
        name=hop.name,
        start_ns=placement.start_ns,
        end_ns=placement.end_ns,
        attributes=tuple(attributes),
    )


def _describe_node(ready: ReadyHop) -> list[tuple[str, AttributeValue]]:
    origin = ready.half.origin
    described: list[tuple[str, AttributeValue]] = [("hopspan.node", origin.node.name)]
    if origin.node.k8s_node_name:
        described.append(("k8s.node.name", origin.node.k8s_node_name))
    interface = origin.interfaces.get(ready.device.ifindex)
    if interface:
        described.append(("network.interface.name", interface))
    return described


def _describe_addresses(transit: Transit) -> list[tuple[str, AttributeValue]]:
    client = (_write_address(transit.client_address), transit.client_port)
    server = (_write_address(transit.server_address), transit.server_port)
    source, destination = (client, server) if transit.direction is Direction.REQUEST else (server, client)
    return [
        ("source.address", source[0]),
        ("source.port", source[1]),
        ("destination.address", destination[0]),
        ("destination.port", destination[1]),
    ]


def _describe_tunnel(transit: Transit) -> list[tuple[str, AttributeValue]]:
    described: list[tuple[str, AttributeValue]] = [("tunnel.type", transit.tunnel.name.lower())]
    if transit.tunnel in (Tunnel.VXLAN, Tunnel.GENEVE):
        described.append(("tunnel.id", str(transit.vni)))
    described += [
        ("tunnel.source.address", _write_address(transit.outer_source)),
        ("tunnel.destination.address", _write_address(transit.outer_destination)),
    ]
    return described


def _write_address(address: bytes) -> str:
    value = ipaddress.IPv6Address(address)
    return str(value.ipv4_mapped or value)
