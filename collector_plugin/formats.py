"""Turns requests into the format that an exporter takes, and several of one format into one.

Pure. Converted is only what has to be: a request that an exporter takes as it is, is passed on byte for byte.
"""

from collections.abc import Sequence

from collector_plugin import otlp_to_zipkin
from collector_plugin.span_request import SpanFormat, SpanRequest
from collector_plugin.zipkin_merge import merge_arrays
from collector_plugin.zipkin_to_otlp import convert_to_otlp


def convert_request(request: SpanRequest, wanted: SpanFormat) -> SpanRequest:
    """Return the request in the format `wanted`; the very one where it is in it. Raises WireError."""
    if request.format is wanted:
        return request
    if wanted is SpanFormat.OTLP:
        return SpanRequest(convert_to_otlp(request.data), request.span_count, wanted)
    converted = otlp_to_zipkin.convert_request(request.data)
    return SpanRequest(converted.data, converted.span_count, wanted, converted.left_out)


def merge_requests(requests: Sequence[SpanRequest]) -> bytes:
    """Return the bytes of one request with all spans of `requests`, which have one format."""
    parts = [request.data for request in requests]
    if len(parts) == 1:
        return parts[0]
    # Protobuf: to concatenate messages is to merge them.
    return b"".join(parts) if requests[0].format is SpanFormat.OTLP else merge_arrays(parts)
