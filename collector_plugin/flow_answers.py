"""What a transit that answers a claim tells of its node and of the other one.

Pure.
"""

import msgspec

from hopspan.flow_claims import REQUEST, RESPONSE, ExactClaim
from node_probe.transit import ContextFormat, Point
from node_probe.wire_batch import RawTransit
from node_probe.wire_record import ENDPOINTS, read_ends, read_message_key

_FORMAT_OFFSET, _DIRECTION_OFFSET = 2, 1
_ORDER = slice(4, 12)
"""Sequence number and TSval in a record."""
_ENDS_OFFSET = 12
_FLOW = int(ContextFormat.FLOW)
_NIC_EGRESS, _NIC_INGRESS = int(Point.NIC_EGRESS), int(Point.NIC_INGRESS)


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A transit whose context was named by a claim."""

    key: bytes
    """The message key."""
    own_address: bytes | None
    """The address that is on the transit's node; None where that is not certain."""
    far_address: bytes
    """That of the other end."""
    far_claim: ExactClaim | None
    """Claims the same packet from the other node, where it was on the wire."""


def read_answer(raw: RawTransit) -> Answer | None:
    """Return what a checked transit tells; None where its context was read from the packet."""
    record = raw.record
    direction = record[_DIRECTION_OFFSET]
    if record[_FORMAT_OFFSET] != _FLOW or direction not in (REQUEST, RESPONSE):
        return None
    client_port, _, client, server = ENDPOINTS.unpack_from(record, _ENDS_OFFSET)
    first, _, last, _ = read_ends(record)
    is_outgoing, is_incoming = first <= _NIC_EGRESS, last >= _NIC_INGRESS
    is_near = is_outgoing if direction == REQUEST else is_incoming
    far_claim = None
    if is_outgoing != is_incoming and (last == _NIC_EGRESS or first == _NIC_INGRESS):
        order = record[_ORDER]
        seq, tsval = int.from_bytes(order[:4], "little"), int.from_bytes(order[4:], "little")
        far_claim = ExactClaim(raw.trace_id, raw.parent_id, raw.flags, direction, client, client_port, seq, tsval)
    own = client if is_near else server
    return Answer(
        key=read_message_key(record, raw.trace_id, raw.parent_id),
        # What passes through a node tells of neither end.
        own_address=own if is_outgoing or is_incoming else None,
        far_address=server if is_near else client,
        far_claim=far_claim,
    )
