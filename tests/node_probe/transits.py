"""A transit to vary: a request from a pod that leaves its node by the overlay."""

from typing import Any

import msgspec

from node_probe.transit import Context, ContextFormat, Direction, Point, Stamp, Transit, Tunnel

REQUEST = Transit(
    context=Context(bytes(range(1, 17)), bytes(range(1, 9)), 1, ContextFormat.TRACEPARENT),
    direction=Direction.REQUEST,
    seq=7000,
    tsval=123,
    client_port=40000,
    server_port=80,
    client_address=bytes(10) + b"\xff\xff\x0a\xf4\x01\x0a",
    server_address=bytes(10) + b"\xff\xff\x0a\x60\x00\x14",
    stamps=(
        Stamp(Point.POD_EGRESS, 2, 1_000_000),
        Stamp(Point.VETH_INGRESS, 5, 1_004_500),
        Stamp(Point.OVERLAY_EGRESS, 7, 1_012_100),
        Stamp(Point.NIC_EGRESS, 2, 1_015_700),
    ),
    tunnel=Tunnel.VXLAN,
    vni=1,
)


def vary(**changes: Any) -> Transit:
    """Return the request with some fields changed."""
    return msgspec.structs.replace(REQUEST, **changes)
