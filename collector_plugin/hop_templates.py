"""What the hops between the same points of the same devices have in common, made once: name, attributes, labels.

Pure.
"""

import functools
import itertools

import msgspec

from collector_plugin.courses import MAX_KEPT, Course, Role
from collector_plugin.describe import describe_node, describe_oddities, describe_tunnel, describe_way
from collector_plugin.network_span import Attributes
from collector_plugin.places import Place
from node_probe.hop_names import name_hop
from node_probe.transit import Point, Tunnel

UNDERLAY = "underlay"

_WAY = {
    Role.WHOLE: (Point.POD_EGRESS, Point.VETH_INGRESS, Point.VETH_EGRESS, Point.POD_INGRESS),
    Role.SENDER: (Point.POD_EGRESS, Point.VETH_INGRESS, Point.OVERLAY_EGRESS, Point.NIC_EGRESS),
    Role.RECEIVER: (Point.NIC_INGRESS, Point.OVERLAY_INGRESS, Point.VETH_EGRESS, Point.POD_INGRESS),
}
"""The points of each role in the order met. The pod's own are optional, but they only ever stand at an end."""

_OVERLAY_POINTS = frozenset({Point.OVERLAY_EGRESS, Point.OVERLAY_INGRESS})


class HopTemplate(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A hop but for its times. Compared as an object, since it is a key: there is one of each."""

    name: str
    direction: str
    start: Point
    stop: Point
    missed: tuple[Point, ...]
    """Points between the two that the packet must have passed and that did not see it."""
    node: str
    """The node whose name the span has; for the wire the sender."""
    to_node: str
    """Where the hop ends: for the wire the receiver."""
    points: bytes
    """Both points by number, as a span's id is derived from them."""
    place: tuple[Attributes, Attributes]
    """Direction and points; the node, and the device there: where the hop ends, for the wire where it leaves it."""
    tunnel: tuple[Attributes, ...]
    """What the outer header said, where the packet had, got or lost one on the way."""
    tail: tuple[Attributes, ...]
    """The same, and what else there is to say of a first sending that is drawn as it was."""


class Templates(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Those of the hops that one node tells of. Compared as an object, as they are."""

    hops: tuple[HopTemplate, ...]
    """In the order of the packet's way."""
    course: Course
    node: str
    last_device: Attributes
    """The node, and the device where the packet left it, if this is the sender."""


def find_templates(course: Course, place: Place) -> Templates:
    """Return the templates of a node's hops."""
    # Not by the place itself: what is kept would keep it, with the names of thousands of interfaces.
    node = place.node
    interfaces = tuple(map(place.interfaces.get, course.ifindexes))
    return _make_templates(course, node.name, node.k8s_node_name, interfaces)


@functools.lru_cache(MAX_KEPT)
def find_wire_template(sender: Templates, to_node: str) -> HopTemplate:
    """Return the template of the wire to another node."""
    course = sender.course
    tunnel = (describe_tunnel(course),) if course.tunnel is not Tunnel.NONE else ()
    return HopTemplate(
        name=UNDERLAY,
        direction=course.direction.label,
        start=Point.NIC_EGRESS,
        stop=Point.NIC_INGRESS,
        missed=(),
        node=sender.node,
        to_node=to_node,
        points=bytes((Point.NIC_EGRESS, Point.NIC_INGRESS)),
        place=(describe_way(course.direction, Point.NIC_EGRESS, Point.NIC_INGRESS), sender.last_device),
        tunnel=tunnel,
        tail=tunnel,
    )


@functools.lru_cache(MAX_KEPT)
def _make_templates(course: Course, node: str, k8s_node_name: str, interfaces: tuple[str | None, ...]) -> Templates:
    templates = []
    devices = [describe_node(node, k8s_node_name, interface or "") for interface in interfaces]
    for (start, stop), device in zip(itertools.pairwise(course.points), devices[1:], strict=True):
        name, missed, is_tunnelled = _describe_hop(course.role, start, stop, course.tunnel)
        tunnel = (describe_tunnel(course),) if is_tunnelled else ()
        templates.append(
            HopTemplate(
                name=name,
                direction=course.direction.label,
                start=start,
                stop=stop,
                missed=missed,
                node=node,
                to_node=node,
                points=bytes((start, stop)),
                place=(describe_way(course.direction, start, stop), device),
                tunnel=tunnel,
                tail=(*tunnel, describe_oddities(1, missed, is_clipped=False)) if missed else tunnel,
            )
        )
    return Templates(tuple(templates), course, node, devices[-1])


@functools.cache
def _describe_hop(role: Role, start: Point, stop: Point, tunnel: Tunnel) -> tuple[str, tuple[Point, ...], bool]:
    """Return name, missed points and whether there is an outer header; there are some hundred cases."""
    missed = tuple(
        point
        for point in _WAY.get(role, ())
        if start < point < stop and (point not in _OVERLAY_POINTS or tunnel is not Tunnel.NONE)
    )
    name, is_tunnelled = name_hop(start, stop, tunnel)
    return name, missed, is_tunnelled
