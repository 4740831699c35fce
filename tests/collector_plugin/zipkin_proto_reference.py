"""zipkin.proto in the protobuf library, built from its field table: the other answer to the reader's question."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_TYPES = {"bytes": 12, "string": 9, "fixed64": 6, "uint64": 4, "int32": 5, "bool": 8, "enum": 14, "message": 11}

_MESSAGES = {
    "Endpoint": [
        (1, "service_name", "string", ""), (2, "ipv4", "bytes", ""), (3, "ipv6", "bytes", ""),
        (4, "port", "int32", ""),
    ],
    "Annotation": [(1, "timestamp", "fixed64", ""), (2, "value", "string", "")],
    "Span": [
        (1, "trace_id", "bytes", ""), (2, "parent_id", "bytes", ""), (3, "id", "bytes", ""),
        (4, "kind", "enum", ".z.Span.Kind"), (5, "name", "string", ""), (6, "timestamp", "fixed64", ""),
        (7, "duration", "uint64", ""), (8, "local_endpoint", "message", ".z.Endpoint"),
        (9, "remote_endpoint", "message", ".z.Endpoint"), (10, "annotations", "message", ".z.Annotation"),
        (11, "tags", "message", ".z.Span.TagsEntry"), (12, "debug", "bool", ""), (13, "shared", "bool", ""),
    ],
    "ListOfSpans": [(1, "spans", "message", ".z.Span")],
}  # fmt: skip
_REPEATED = {"annotations", "tags", "spans"}


def _build() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="zipkin.proto", package="z", syntax="proto3")
    for name, fields in _MESSAGES.items():
        _add_fields(file.message_type.add(name=name), fields)
    span = next(message for message in file.message_type if message.name == "Span")
    kinds = span.enum_type.add(name="Kind")
    for number, kind in enumerate(("SPAN_KIND_UNSPECIFIED", "CLIENT", "SERVER", "PRODUCER", "CONSUMER")):
        kinds.value.add(name=kind, number=number)
    entry = span.nested_type.add(name="TagsEntry")
    _add_fields(entry, [(1, "key", "string", ""), (2, "value", "string", "")])
    entry.options.map_entry = True
    return file


def _add_fields(message: descriptor_pb2.DescriptorProto, fields: list[tuple[int, str, str, str]]) -> None:
    for number, name, kind, type_name in fields:
        field = message.field.add(name=name, number=number)
        field.type = descriptor_pb2.FieldDescriptorProto.Type.ValueType(_TYPES[kind])
        field.label = descriptor_pb2.FieldDescriptorProto.Label.ValueType(3 if name in _REPEATED else 1)
        if type_name:
            field.type_name = type_name


_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(_build().SerializeToString())


def make_list(**fields: Any) -> Message:
    """Return a ListOfSpans."""
    return _make("ListOfSpans", fields)


def make_span(**fields: Any) -> Message:
    """Return a Span."""
    return _make("Span", fields)


def _make(name: str, fields: dict[str, Any]) -> Message:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"z.{name}"))(**fields)
