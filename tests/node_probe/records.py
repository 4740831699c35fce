"""Kernel records to vary: bytes as the ring hands them over, made field by field."""

import struct
from typing import Any

from node_probe.kernel_record import CONTEXT_FIELDS, RECORD_FIELDS, VERSION, decode_kernel_record
from node_probe.transit import Transit

HEAD = struct.Struct("=" + "".join(code for _, code in RECORD_FIELDS))
CONTEXT = struct.Struct("=" + "".join(code for _, code in CONTEXT_FIELDS))

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
POINTS = 8


def make_context(text: bytes = TRACEPARENT + b"\r\n", **changes: int) -> bytes:
    """Return a context, a plain traceparent if nothing else is said."""
    fields = {"format": 1, "coding": 0, "length": len(text), "reserved": 0, "stream_id": 0} | changes
    return CONTEXT.pack(*fields.values(), text)


def make_record(context: bytes | None = None, **changes: Any) -> bytes:
    """Return a record of a packet that met the first four points, with a valid context if none is given."""
    times = changes.pop("monotonic_ns", range(1000, 1000 + POINTS))
    ifindexes = changes.pop("ifindex", range(11, 11 + POINTS))
    fields = {name: bytes(16) if code == "16s" else 0 for name, code in RECORD_FIELDS[:-2]}
    fields |= {"version": VERSION, "seen": 0b1111, "context_count": 1} | changes
    return HEAD.pack(*fields.values(), *times, *ifindexes) + (make_context() if context is None else context)


def read_transit(record: bytes) -> Transit:
    """Return the transit of a record whose context is sampled."""
    transit = decode_kernel_record(record)
    assert transit is not None
    return transit
