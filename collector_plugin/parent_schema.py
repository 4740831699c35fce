"""Reads ScopeSpans by the protobuf library and a schema of our own, which has of a span what a parent needs alone.

Pure. What the schema does not name the library steps over and copies as it is: an attribute costs its bytes, whatever
is in it. All fields are bytes and numbers: text that is not UTF-8, which is the backend's to judge, is no error here.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from collector_plugin.flow_names import FlowNames, NamedFlow
from collector_plugin.packed_spans import PackedSpans, check_packed, pack_spans
from collector_plugin.span_peers import CALLING_KINDS, PEER_KEYS, find_peer, may_have_peers
from collector_plugin.span_walk import SPAN_KIND_CLIENT, are_lawful

_PACKAGE = "hopspan.parents"

_BYTES, _INT32, _FIXED64, _MESSAGE = (
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_INT32,
    FieldDescriptorProto.TYPE_FIXED64,
    FieldDescriptorProto.TYPE_MESSAGE,
)
_ONE, _MANY = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.LABEL_REPEATED

_SPAN = (
    ("trace_id", 1, _BYTES, _ONE, ""),
    ("span_id", 2, _BYTES, _ONE, ""),
    ("kind", 6, _INT32, _ONE, ""),
    ("start", 7, _FIXED64, _ONE, ""),
    ("end", 8, _FIXED64, _ONE, ""),
)

# Names and numbers as in opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto.
_MESSAGES = {
    "Scope": (("name", 1, _BYTES, _ONE, ""),),
    "Value": (("string_value", 1, _BYTES, _ONE, ""),),
    "Attribute": (("key", 1, _BYTES, _ONE, ""), ("value", 2, _MESSAGE, _ONE, "Value")),
    "Span": _SPAN,
    "SpanWithAttributes": (*_SPAN, ("attributes", 9, _MESSAGE, _MANY, "Attribute")),
    # Attributes as bytes: of many a few are wanted, and an object for each would take three times as long.
    "SpanWithFlow": (*_SPAN, ("attributes", 9, _BYTES, _MANY, "")),
    "ScopeSpans": (("scope", 1, _MESSAGE, _ONE, "Scope"), ("spans", 2, _MESSAGE, _MANY, "Span")),
    "AllOfScopeSpans": (
        ("scope", 1, _MESSAGE, _ONE, "Scope"),
        ("spans", 2, _MESSAGE, _MANY, "SpanWithAttributes"),
    ),
    "ScopeSpansWithFlows": (("scope", 1, _MESSAGE, _ONE, "Scope"), ("spans", 2, _MESSAGE, _MANY, "SpanWithFlow")),
}


def _build_pool() -> DescriptorPool:
    file = FileDescriptorProto(name="hopspan/parents.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, label, type_name in fields:
            field = message.field.add(name=field_name, number=number, type=kind, label=label)
            if type_name:
                field.type_name = f".{_PACKAGE}.{type_name}"
    # A pool of its own: the numbers are OTLP's, but the messages are not.
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _build_pool()
_SCOPE_SPANS: Any = GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.ScopeSpans"))
_ALL_OF_SCOPE_SPANS: Any = GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.AllOfScopeSpans"))
_WITH_FLOWS: Any = GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.ScopeSpansWithFlows"))


class ParsedScopeSpans(msgspec.Struct, frozen=True):
    """What one ScopeSpans has for the join."""

    name: bytes
    """The scope's."""
    count: int
    """Of all spans, those that can be no parents too."""
    spans: PackedSpans
    peers: dict[bytes, bytes]
    """By trace id and span id (24 bytes) the address (16 bytes) that the span says it called."""
    flows: Sequence[NamedFlow] = ()
    """What each CLIENT span says of its flow, where that is asked for."""


def parse_scope_spans(data: bytes, start: int, end: int, names: FlowNames | None = None) -> ParsedScopeSpans:
    """Return what the ScopeSpans in data[start:end] has; flows where there are names for them. Raises DecodeError."""
    if names is not None:
        return _parse_with_flows(data, start, end, names)
    has_peers = may_have_peers(data, start, end)
    message = (_ALL_OF_SCOPE_SPANS if has_peers else _SCOPE_SPANS).FromString(memoryview(data)[start:end])
    spans = message.spans
    name, count = message.scope.name, len(spans)
    peers = dict(_list_peers(spans)) if has_peers else {}
    return ParsedScopeSpans(name, count, _pack(message, count, has_attributes=has_peers), peers)


def _parse_with_flows(data: bytes, start: int, end: int, names: FlowNames) -> ParsedScopeSpans:
    message = _WITH_FLOWS.FromString(memoryview(data)[start:end])
    spans = message.spans
    peers: dict[bytes, bytes] = {}
    flows: list[NamedFlow] = []
    for span in spans:
        if span.kind in CALLING_KINDS:
            trace_id, span_id, values = span.trace_id, span.span_id, names.picker.pick(span.attributes)
            address = find_peer(values)
            if address:
                peers[trace_id + span_id] = address
            if span.kind == SPAN_KIND_CLIENT:
                flows.append(names.read((trace_id, span_id), span.start, span.end, values))
    name, count = message.scope.name, len(spans)
    return ParsedScopeSpans(name, count, _pack(message, count, has_attributes=True), peers, flows)


def all_have_attribute(data: bytes, start: int, end: int, key: bytes) -> bool:
    """Tell whether each span of the ScopeSpans in data[start:end], one or more, has it. Raises DecodeError."""
    spans = _ALL_OF_SCOPE_SPANS.FromString(memoryview(data)[start:end]).spans
    return bool(spans) and all(any(item.key == key for item in span.attributes) for span in spans)


def _pack(message: Any, count: int, *, has_attributes: bool) -> PackedSpans:
    """Return the spans with lawful ids; empties the message of all else."""
    message.ClearField("scope")
    if has_attributes:
        for span in message.spans:
            span.ClearField("attributes")
    # All at once by the library, where each span has all its fields, as nearly all have.
    message.DiscardUnknownFields()
    packed = check_packed(message.SerializeToString(), count)
    if packed is not None:
        return packed
    return pack_spans(
        (span.trace_id + span.span_id, span.kind, span.start, span.end)
        for span in message.spans
        if are_lawful(span.trace_id, span.span_id)
    )


def _list_peers(spans: Any) -> Iterator[tuple[bytes, bytes]]:
    for span in spans:
        if span.kind in CALLING_KINDS:
            attributes = ((item.key, item.value.string_value) for item in span.attributes)
            address = find_peer({key: value for key, value in attributes if key in PEER_KEYS})
            if address:
                yield span.trace_id + span.span_id, address
