"""Records of bursts to vary: bytes as the ring hands them over for TLS, made field by field."""

import struct
from typing import Any

from node_probe.flow_direction import write_endpoint
from node_probe.kernel_burst import BURST_FIELDS
from node_probe.transit import ContextFormat
from tests.node_probe.records import make_context, make_record

BURST = struct.Struct("=" + "".join(code for _, code in BURST_FIELDS))
TLS_FLAG = 4

CLIENT = bytes(10) + b"\xff\xff\x0a\xf4\x01\x0a"
SERVER = bytes(10) + b"\xff\xff\x0a\xf4\x02\x14"
CLIENT_PORT, SERVER_PORT = 40000, 15443
CLIENT_END, SERVER_END = write_endpoint(CLIENT_PORT, CLIENT), write_endpoint(SERVER_PORT, SERVER)

LEAVING, COMING = 0b1111, 0b11110000
"""The points of what leaves the node and of what comes."""

HOP_NS = 5_000


def make_burst(first_ns: int, *, is_coming: bool = False, **changes: Any) -> bytes:
    """Return the record of a burst that begins then, one record of 100 bytes in a segment if nothing else is said."""
    fields = {"kind": 1, "place": 0, "number": 1, "previous_followers": 0, "previous_last_ns": 0}
    records = (*changes.pop("records", (100,)), 0, 0, 0, 0)[:4]
    tail = {"ack": 0, "payload_length": sum(length + 5 for length in records if length)}
    burst = {name: changes.pop(name, value) for name, value in fields.items()}
    last = {name: changes.pop(name, value) for name, value in tail.items()}
    ends = [(CLIENT_PORT, CLIENT), (SERVER_PORT, SERVER)]
    (source_port, source), (port, address) = reversed(ends) if is_coming else ends
    flow = {"client_port": source_port, "client_address": source, "server_port": port, "server_address": address}
    seen = COMING if is_coming else LEAVING
    if burst["kind"] != 1:
        seen &= -seen
    first = 4 if is_coming else 0
    times = [first_ns + HOP_NS * (point - first) if point >= first else 0 for point in range(8)]
    text = BURST.pack(*burst.values(), *records, *last.values())
    context = make_context(text, format=ContextFormat.FLOW, length=0)
    return make_record(context, **({"flags": TLS_FLAG, "seen": seen, "monotonic_ns": times} | flow | changes))
