"""OTLP's partial success: what a peer may say of spans that it left out, and what it should not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from hopspan.export_errors import ExportResult
from hopspan.partial_success import read_result
from hopspan.protowire import write_integer, write_length


@given(st.integers(0, 2**63 - 1), st.text(max_size=50))
def test_what_the_protobuf_library_wrote_is_read(rejected_spans: int, message: str) -> None:
    """Two independent codecs agree."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected_spans
    response.partial_success.error_message = message
    assert read_result(response.SerializeToString()) == ExportResult(rejected_spans, message)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b"", ExportResult()),
        (write_length(1, b""), ExportResult()),
        (write_length(2, b"unknown") + write_length(1, write_integer(1, 3)), ExportResult(3)),
        (write_length(1, write_integer(1, -1)), ExportResult()),
        (write_length(1, write_length(2, b"\xff")), ExportResult(0, "\ufffd")),
        (write_integer(1, 5), ExportResult()),
        (write_length(1, write_integer(1, 3))[:-1], ExportResult()),
        (b"<html>OK</html>", ExportResult()),
    ],
)
def test_remark_that_cannot_be_read_changes_nothing(response: bytes, expected: ExportResult) -> None:
    """The request was taken, whatever was said beside it."""
    assert read_result(response) == expected
