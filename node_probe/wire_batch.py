"""Reads a batch of transits, one OTLP ResourceSpans, as the plugin gets it. span_writer and request_writer write it.

Reads no clock. What is constant for a node lies on the resource, the rest in one bytes attribute of each span.
"""

import re

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from node_probe.transit import NodeIdentity, Transit
from node_probe.wire_record import (
    RECORD_KEY,
    SCOPE,
    RecordError,
    check_record,
    decode_checked,
    trim_record,
)

__all__ = [
    "RECORD_KEY",
    "SCOPE",
    "BatchError",
    "NodeIdentity",
    "RawBatch",
    "RawTransit",
    "TransitBatch",
    "decode_batch",
    "read_batch",
]

MAX_NAME = 253
"""Characters of a node's or host's name: DNS names have no more. Each is copied into every network span."""

MAX_INTERFACE_NAME = 15
"""Characters that the kernel allows (IFNAMSIZ)."""

MAX_INTERFACES = 8192
"""Devices in one batch: twice what the largest nodes have."""

_IFINDEX = re.compile(r"[0-9]{1,10}", re.ASCII)


class BatchError(ValueError):
    """The bytes are not a ResourceSpans of transits; the text names what was wrong."""


class RawTransit(msgspec.Struct, frozen=True, gc=False):
    """A transit as it was sent: its record, checked and not decoded, and what its span says of the context."""

    record: bytes
    trace_id: bytes
    parent_id: bytes
    flags: int

    def decode(self) -> Transit:
        """Return the transit. Raises RecordError for values that version 1 does not know."""
        return decode_checked(self.record, self.trace_id, self.parent_id, self.flags)


class RawBatch(msgspec.Struct, frozen=True):
    """Transits of one node, with what is needed to place and to name their stamps."""

    node: NodeIdentity
    epoch_offset_ns: int
    """CLOCK_REALTIME - CLOCK_MONOTONIC on the node when the batch was made."""
    interfaces: dict[int, str]
    """Interface name by index, for the devices that occur in the stamps."""
    transits: tuple[RawTransit, ...]
    rejected: tuple[RecordError, ...] = ()
    """One error for each span of the batch that was not a readable transit."""


class TransitBatch(msgspec.Struct, frozen=True):
    """A RawBatch with its transits decoded."""

    node: NodeIdentity
    epoch_offset_ns: int
    interfaces: dict[int, str]
    transits: tuple[Transit, ...]
    rejected: tuple[RecordError, ...] = ()


def decode_batch(resource_spans: bytes) -> TransitBatch:
    """Return the batch in the bytes of one OTLP ResourceSpans, as read_batch does, with its transits decoded."""
    raw = read_batch(resource_spans)
    transits: list[Transit] = []
    rejected = list(raw.rejected)
    for item in raw.transits:
        try:
            transits.append(item.decode())
        except RecordError as error:
            rejected.append(error)
    return TransitBatch(raw.node, raw.epoch_offset_ns, raw.interfaces, tuple(transits), tuple(rejected))


def read_batch(resource_spans: bytes) -> RawBatch:
    """Return the batch in the bytes of one OTLP ResourceSpans.

    A span that is no transit of a known version is left out and reported in `rejected`. Raises BatchError where the
    message or its resource cannot be read at all.
    """
    try:
        message = ResourceSpans.FromString(resource_spans)
    except DecodeError as error:
        raise BatchError(f"not a ResourceSpans: {error}") from error
    attributes = {a.key: a.value for a in message.resource.attributes}
    node = NodeIdentity(
        name=_require_string(attributes, "hopspan.node"),
        host_id=_read_string(attributes, "host.id"),
        host_name=_read_string(attributes, "host.name"),
        clock_id=_require_string(attributes, "hopspan.clock.id"),
        k8s_node_name=_read_string(attributes, "k8s.node.name"),
    )
    named = attributes.get("hopspan.interfaces")
    _check_sizes(node, len(named.array_value.values) if named is not None else 0)
    offset = attributes.get("hopspan.epoch_offset_ns")
    if offset is None or offset.WhichOneof("value") != "int_value":
        raise BatchError("resource attribute hopspan.epoch_offset_ns is missing or no integer")
    transits: list[RawTransit] = []
    rejected: list[RecordError] = []
    for scope_spans in message.scope_spans:
        if scope_spans.scope.name != SCOPE:
            continue
        for span in scope_spans.spans:
            try:
                transits.append(_read_transit(span))
            except RecordError as error:
                rejected.append(error)
    return RawBatch(node, offset.int_value, _read_interfaces(attributes), tuple(transits), tuple(rejected))


def _read_transit(span: Span) -> RawTransit:
    for attribute in span.attributes:
        if attribute.key == RECORD_KEY:
            record, trace_id, parent_id = attribute.value.bytes_value, span.trace_id, span.parent_span_id
            check_record(record, trace_id, parent_id)
            return RawTransit(trim_record(record), trace_id, parent_id, span.flags & 0xFF)
    raise RecordError(f"span has no attribute {RECORD_KEY}")


def _read_string(attributes: dict[str, AnyValue], key: str) -> str:
    return attributes[key].string_value if key in attributes else ""


def _require_string(attributes: dict[str, AnyValue], key: str) -> str:
    value = _read_string(attributes, key)
    if not value:
        raise BatchError(f"resource attribute {key} is missing or no string")
    return value


def _check_sizes(node: NodeIdentity, interfaces: int) -> None:
    for text in (node.name, node.host_id, node.host_name, node.clock_id, node.k8s_node_name):
        if len(text) > MAX_NAME:
            raise BatchError(f"a name on the resource has {len(text)} characters, more than {MAX_NAME}")
    if interfaces > MAX_INTERFACES:
        raise BatchError(f"{interfaces} interfaces, more than {MAX_INTERFACES}")


def _read_interfaces(attributes: dict[str, AnyValue]) -> dict[int, str]:
    value = attributes.get("hopspan.interfaces")
    names: dict[int, str] = {}
    for item in value.array_value.values if value is not None else ():
        ifindex, _, name = item.string_value.partition(" ")
        if _IFINDEX.fullmatch(ifindex) and 0 < len(name) <= MAX_INTERFACE_NAME:
            names[int(ifindex)] = name
    return names
