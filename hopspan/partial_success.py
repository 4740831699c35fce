"""OTLP's partial success: what a peer says of spans that it left out of a request that it took.

Pure. By hand: the protobuf library and its messages are 2 MiB of a probe that needs them for nothing else.
"""

from collections.abc import Iterator

from hopspan.export_errors import ExportResult
from hopspan.protowire import LENGTH, VARINT, WireError, read_fields, read_varint

_MAX_INT64 = (1 << 63) - 1

# ExportTraceServiceResponse: partial_success 1; ExportTracePartialSuccess: rejected_spans 1, error_message 2.


def read_result(response: bytes) -> ExportResult:
    """Return what an ExportTraceServiceResponse says, the text as it came; an unreadable one says nothing."""
    rejected_spans, message = 0, b""
    try:
        for number, wire_type, _, start, end in _read_partial_success(response):
            if (number, wire_type) == (1, VARINT):
                rejected_spans = read_varint(response, start, end)[0]
            elif (number, wire_type) == (2, LENGTH):
                message = response[start:end]
    except WireError:
        # The status was OK, so the spans are there; an unreadable remark changes nothing about it.
        return ExportResult()
    if rejected_spans > _MAX_INT64:
        rejected_spans = 0  # negative on the wire, which says nothing
    return ExportResult(rejected_spans, message.decode(errors="replace"))


def _read_partial_success(response: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    for number, wire_type, _, start, end in read_fields(response, 0, len(response)):
        if (number, wire_type) == (1, LENGTH):
            yield from read_fields(response, start, end)
