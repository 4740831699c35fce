"""A request full of spans on its way out, in one of the two formats that peers take.

Pure.
"""

import enum

import msgspec


class SpanFormat(enum.StrEnum):
    """What the bytes of a request are."""

    OTLP = "otlp"
    """An ExportTraceServiceRequest in protobuf."""
    ZIPKIN = "zipkin"
    """A JSON array of Zipkin v2 spans, in UTF-8."""


class SpanRequest(msgspec.Struct, frozen=True):
    """A request and the number of its spans."""

    data: bytes
    span_count: int
    format: SpanFormat = SpanFormat.OTLP
    left_out: int = 0
    """Spans that the request had in another format, and that this one cannot hold; not in `span_count`."""
