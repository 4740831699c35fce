"""What network spans say of themselves: their attributes, as docs and design name them.

Pure. Nodes, ways and addresses repeat in most spans, so the attributes of each are made once and shared.
"""

import functools
import ipaddress

from collector_plugin.clocks import ClockSource
from collector_plugin.courses import Course
from collector_plugin.halves import Half
from collector_plugin.network_span import DURATION_KEY, Attributes, Pair
from node_probe.transit import Direction, Point, Tunnel
from node_probe.wire_record import ENDPOINTS

_KEPT = 4096
"""Of each kind; some 2 MiB where all are used."""


_MEASURED = ("hopspan.clock.source", ClockSource.MEASURED.value)


def describe_duration(duration_ns: int) -> Attributes:
    """Return the exact time between the stamps of a hop that is an event."""
    return Attributes((DURATION_KEY, duration_ns))


@functools.lru_cache(_KEPT)
def describe_way(direction: Direction, start: Point, stop: Point) -> Attributes:
    """Return the direction of the message, and the points that the span leads from and to."""
    return Attributes(
        ("hopspan.direction", direction.label), ("hopspan.from", start.label), ("hopspan.to", stop.label)
    )


@functools.lru_cache(_KEPT)
def describe_points(start: Point, stop: Point) -> Attributes:
    """Return the points that an event leads from and to; the direction is the span's."""
    return Attributes(("hopspan.from", start.label), ("hopspan.to", stop.label))


@functools.lru_cache(_KEPT)
def describe_node(name: str, k8s_node_name: str, interface: str) -> Attributes:
    """Return the node, and the device on it; what is empty is not known."""
    pairs: list[Pair] = [("hopspan.node", name)]
    if k8s_node_name:
        pairs.append(("k8s.node.name", k8s_node_name))
    if interface:
        pairs.append(("network.interface.name", interface))
    return Attributes(*pairs)


def describe_addresses(half: Half) -> tuple[Attributes]:
    """Return source and destination in the packet's direction, as a span's group."""
    return _describe_addresses(half.endpoints, half.course.direction)


@functools.lru_cache(_KEPT)
def _describe_addresses(endpoints: bytes, direction: Direction) -> tuple[Attributes]:
    source_port, destination_port, source, destination = ENDPOINTS.unpack(endpoints)
    if direction is Direction.RESPONSE:
        source_port, destination_port, source, destination = destination_port, source_port, destination, source
    return (
        Attributes(
            ("source.address", _write_address(source)),
            ("source.port", source_port),
            ("destination.address", _write_address(destination)),
            ("destination.port", destination_port),
        ),
    )


def describe_tunnel(course: Course) -> Attributes:
    """Return what the outer header said."""
    return _describe_tunnel(course.tunnel, course.vni, course.outer_source, course.outer_destination)


@functools.lru_cache(_KEPT)
def _describe_tunnel(tunnel: Tunnel, vni: int, source: bytes, destination: bytes) -> Attributes:
    pairs: list[Pair] = [("tunnel.type", tunnel.name.lower())]
    if tunnel in (Tunnel.VXLAN, Tunnel.GENEVE):
        pairs.append(("tunnel.id", str(vni)))
    return Attributes(
        *pairs,
        ("tunnel.source.address", _write_address(source)),
        ("tunnel.destination.address", _write_address(destination)),
    )


@functools.lru_cache(_KEPT)
def describe_oddities(attempt: int, missed: tuple[Point, ...], *, is_clipped: bool) -> Attributes:
    """Return what is not the usual case; nothing where all is usual."""
    pairs: list[Pair] = []
    if attempt > 1:
        pairs.append(("hopspan.attempt", attempt))
    if is_clipped:
        pairs.append(("hopspan.clipped", True))
    if missed:
        pairs.append(("hopspan.missed", tuple(point.label for point in missed)))
    return Attributes(*pairs)


def describe_measured(offset_ns: int, uncertainty_ns: int) -> Attributes:
    """Return how far stamps came onto the parent's clock, by what was measured: each message has its own."""
    return Attributes(
        _MEASURED,
        ("hopspan.clock.offset_ns", offset_ns),
        ("hopspan.clock.uncertainty_ns", uncertainty_ns),
    )


@functools.cache
def describe_source(source: ClockSource) -> Attributes:
    """Return the same where nothing had to be measured."""
    return Attributes(("hopspan.clock.source", source.value))


@functools.lru_cache(_KEPT)
def _write_address(address: bytes) -> str:
    value = ipaddress.IPv6Address(address)
    return str(value.ipv4_mapped or value)
