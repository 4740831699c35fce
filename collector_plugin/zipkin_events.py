"""Events as the texts of Zipkin's annotations, and links as the texts of tags; and both back.

Pure. An event with attributes is `"name":{"key":"value"}` by OpenTelemetry's specification; the Collector writes
`name|{"key":"value"}|0`, which is read too. Links have no mapping there, so they are the Collector's:
`trace id|span id|trace state|{"key":"value"}|0`. The count of attributes that were dropped is one more attribute.
"""

import binascii
from typing import Any

import msgspec
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_plugin.zipkin_values import from_object, to_object, write_json

DROPPED_ATTRIBUTES = "otel.dropped_attributes_count"
MAX_COUNT = (1 << 32) - 1


def write_event(event: Span.Event) -> str:
    """Return the value of the annotation."""
    attributes = to_object(event.attributes)
    if event.dropped_attributes_count:
        attributes[DROPPED_ATTRIBUTES] = event.dropped_attributes_count
    # A name that would be read as one with attributes is written as such a one.
    if not attributes and not _read_specified(event.name) and not _read_collectors(event.name):
        return event.name
    return f"{write_json(event.name)}:{write_json(attributes)}"


def read_event(time_ns: int, value: str) -> Span.Event:
    """Return the event of an annotation; what is in neither form is the name."""
    name, attributes = _read_specified(value) or _read_collectors(value) or (value, {})
    dropped = attributes.get(DROPPED_ATTRIBUTES)
    count = dropped if isinstance(dropped, int) and not isinstance(dropped, bool) and 0 <= dropped <= MAX_COUNT else 0
    if count:
        del attributes[DROPPED_ATTRIBUTES]
    try:
        pairs = from_object(attributes)
    except ValueError:
        return Span.Event(time_unix_nano=time_ns, name=value)
    return Span.Event(time_unix_nano=time_ns, name=name, attributes=pairs, dropped_attributes_count=count)


def write_link(link: Span.Link) -> str:
    """Return the value of the tag."""
    attributes = write_json(to_object(link.attributes))
    ids = f"{link.trace_id.hex()}|{link.span_id.hex()}"
    return f"{ids}|{link.trace_state}|{attributes}|{link.dropped_attributes_count}"


def read_link(value: str) -> Span.Link | None:
    """Return the link of a tag, None where it is none."""
    try:
        trace_id, span_id, rest = value.split("|", 2)
        state, opening, rest = rest.partition("|{")
        text, dropped = rest.rsplit("|", 1)
        attributes = _read_object(opening[1:] + text)
        ids = binascii.unhexlify(trace_id), binascii.unhexlify(span_id)
        if attributes is None or len(ids[0]) not in (0, 16) or len(ids[1]) not in (0, 8):
            return None
        return Span.Link(
            trace_id=ids[0],
            span_id=ids[1],
            trace_state=state,
            attributes=from_object(attributes),
            dropped_attributes_count=read_count(dropped),
        )
    except ValueError:
        return None


def _read_specified(value: str) -> tuple[str, dict[str, Any]] | None:
    """Return name and attributes of `"name":{...}`."""
    if not (value.startswith('"') and value.endswith("}")):
        return None
    document = _read_object("{" + value + "}")
    if document is None or len(document) != 1:
        return None
    ((name, attributes),) = document.items()
    return (name, attributes) if isinstance(attributes, dict) else None


def _read_collectors(value: str) -> tuple[str, dict[str, Any]] | None:
    """Return name and attributes of `name|{...}|dropped`."""
    try:
        name, rest = value.split("|", 1)
        text, dropped = rest.rsplit("|", 1)
        count = read_count(dropped)
    except ValueError:
        return None
    attributes = _read_object(text)
    if attributes is None:
        return None
    return name, {**attributes, DROPPED_ATTRIBUTES: count} if count else attributes


def _read_object(text: str) -> dict[str, Any] | None:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def read_count(text: str) -> int:
    """Return a count of 32 bits. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_COUNT)) and int(text) <= MAX_COUNT):
        raise ValueError("no count")
    return int(text)
