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
    decode_record,
)

__all__ = ["RECORD_KEY", "SCOPE", "BatchError", "NodeIdentity", "TransitBatch", "decode_batch"]

MAX_NAME = 253
"""Characters of a node's or host's name: DNS names have no more. Each is copied into every network span."""

MAX_INTERFACE_NAME = 15
"""Characters that the kernel allows (IFNAMSIZ)."""

MAX_INTERFACES = 8192
"""Devices in one batch: twice what the largest nodes have."""

_IFINDEX = re.compile(r"[0-9]{1,10}", re.ASCII)


class BatchError(ValueError):
    """The bytes are not a ResourceSpans of transits; the text names what was wrong."""


class TransitBatch(msgspec.Struct, frozen=True):
    """Transits of one node, with what is needed to place and to name their stamps."""

    node: NodeIdentity
    epoch_offset_ns: int
    """CLOCK_REALTIME - CLOCK_MONOTONIC on the node when the batch was made."""
    interfaces: dict[int, str]
    """Interface name by index, for the devices that occur in the stamps."""
    transits: tuple[Transit, ...]
    rejected: tuple[RecordError, ...] = ()
    """Decoding only: one error for each span of the batch that was not a readable transit."""


def decode_batch(resource_spans: bytes) -> TransitBatch:
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
    transits: list[Transit] = []
    rejected: list[RecordError] = []
    for scope_spans in message.scope_spans:
        if scope_spans.scope.name != SCOPE:
            continue
        for span in scope_spans.spans:
            try:
                transits.append(_decode_transit(span))
            except RecordError as error:
                rejected.append(error)
    return TransitBatch(
        node, offset.int_value, _read_interfaces(attributes), tuple(transits), rejected=tuple(rejected)
    )


def _decode_transit(span: Span) -> Transit:
    for attribute in span.attributes:
        if attribute.key == RECORD_KEY:
            return decode_record(attribute.value.bytes_value, span.trace_id, span.parent_span_id, span.flags)
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
