"""Reads from a Zipkin v2 JSON array which flows its CLIENT spans name, by their tags.

Pure. The array is one that zipkin_walk took. Tags that are not asked for are skipped, and of the others only texts
are decoded: whatever else stands there costs nothing, and nothing in there can refuse spans.
"""

import binascii
from types import GenericAlias
from typing import Any

import msgspec

from collector_plugin.flow_names import FlowNames, NamedFlow
from collector_plugin.json_input import decode_json
from collector_plugin.reasons import ClaimReason
from collector_plugin.span_attributes import Value
from collector_plugin.zipkin_micros import MAX_NS, NS_PER_US, Micros, read_micros
from collector_plugin.zipkin_walk import SPAN_DIGITS, TRACE_DIGITS
from hopspan.protowire import WireError

_CLIENT = "CLIENT"
_ABSENT = msgspec.Raw(b"")
_QUOTE = b'"'
_TEXT: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


class ZipkinFlows:
    """Reads flows from Zipkin's tags, as FlowNames does from attributes."""

    def __init__(self, names: FlowNames) -> None:
        """Look for what `names` looks for."""
        self._names = names
        self._keys = {f"tag_{number}": key for number, key in enumerate(names.keys)}
        fields = [(field, msgspec.Raw, msgspec.field(default=_ABSENT, name=key)) for field, key in self._keys.items()]
        tags = msgspec.defstruct("Tags", fields, gc=False)
        span = msgspec.defstruct(
            "Span",
            [
                ("trace_id", str),
                ("id", str),
                ("kind", str | None, None),
                ("timestamp", Micros, None),
                ("duration", Micros, None),
                ("tags", tags | None, None),
            ],
            rename="camel",
            gc=False,
        )
        self._decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(GenericAlias(list, (span,)))

    def read(self, data: bytes) -> list[NamedFlow]:
        """Return what each CLIENT span of the array says; nothing at all holds no spans."""
        try:
            spans = decode_json(self._decoder, data) if data else []
        except WireError:  # but for a fault here, the walk would have raised it
            return [ClaimReason.UNREADABLE]
        return [self._read_span(span) for span in spans if span.kind == _CLIENT]

    def _read_span(self, span: Any) -> NamedFlow:
        ids = (
            binascii.unhexlify(span.trace_id.rjust(TRACE_DIGITS, "0")),
            binascii.unhexlify(span.id.rjust(SPAN_DIGITS, "0")),
        )
        start_us, duration_us = read_micros(span.timestamp, "timestamp"), read_micros(span.duration, "duration")
        # Both were cut to whole microseconds, so the span may have ended in the next but one.
        end_ns = (start_us + duration_us + 1) * NS_PER_US
        start_ns = start_us * NS_PER_US if duration_us and end_ns <= MAX_NS else 0
        return self._names.read(ids, start_ns, end_ns, self._list_values(span.tags) if span.tags is not None else {})

    def _list_values(self, tags: Any) -> dict[bytes, Value]:
        values: dict[bytes, Value] = {}
        for field, key in self._keys.items():
            raw = bytes(getattr(tags, field))
            if raw.startswith(_QUOTE):
                values[key.encode()] = decode_json(_TEXT, raw).encode()
        return values
