"""Writes a kept burst that was claimed as a record of the kernel: what writes spans then knows no claims.

Pure. The context is the claim's, as the text of a traceparent and of format FLOW; client and server are told apart.
"""

import struct
from binascii import hexlify

import msgspec

from node_probe.context import PLAIN
from node_probe.flow_direction import FlowDirection, read_endpoint
from node_probe.kernel_record import CONTEXT_FIELDS, RECORD_FIELDS
from node_probe.transit import ContextFormat, Direction, Point

_RECORD = struct.Struct("=" + "".join(code for _, code in RECORD_FIELDS + CONTEXT_FIELDS))
_POINTS = len(Point)


class ClaimedContext(msgspec.Struct, frozen=True, gc=False):
    """What a claim says of the span that it was made for."""

    trace_id: bytes
    parent_id: bytes
    flags: int

    def write(self) -> bytes:
        """Return the text of a traceparent."""
        return b"00-%b-%b-%02x" % (hexlify(self.trace_id), hexlify(self.parent_id), self.flags)


def write_record(flow: FlowDirection, entry: int, message: Direction, context: ClaimedContext) -> bytes:
    """Return the record of one entry of a flow's direction, which carries the request or the response."""
    (kind, ifindexes, vni, outer), stamps = flow.read_stamps(entry)
    version, _, seen, flags, tunnel, count = kind
    burst = flow.read(entry)
    client, server = (flow.source, flow.destination)[:: 1 if message is Direction.REQUEST else -1]
    client_port, client_address = read_endpoint(client)
    server_port, server_address = read_endpoint(server)
    all_stamps, all_ifindexes = [0] * _POINTS, [0] * _POINTS
    points = [point for point in range(_POINTS) if seen >> point & 1]
    for point, stamp, ifindex in zip(points, stamps, ifindexes, strict=True):
        all_stamps[point], all_ifindexes[point] = stamp, ifindex
    text = context.write()
    # fmt: off
    return _RECORD.pack(
        version, message, seen, flags, tunnel, count, client_port, server_port, 0, burst.seq, burst.tsval,
        int.from_bytes(vni, "little"), client_address, server_address, outer[:16], outer[16:],
        *all_stamps, *all_ifindexes, ContextFormat.FLOW, PLAIN, len(text), 0, 0, text,
    )
    # fmt: on
