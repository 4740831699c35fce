"""Sends ready-made OTLP requests to a peer over HTTP, in protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp.

One attempt per call, as `hopspan.otlp_export` does it over gRPC.
"""

import time

from hopspan.export_errors import ExportError, ExportResult
from hopspan.http_answer import HttpAnswer, make_error
from hopspan.http_client import HttpClient
from hopspan.http_export_settings import OtlpHttpExporterSettings
from hopspan.partial_success import read_result
from hopspan.protowire import LENGTH, WireError, read_fields
from hopspan.rpc_status import read_retry_after_ns

PROTOBUF_TYPE = "application/x-protobuf"


class OtlpHttpExporter:
    """A peer that requests are posted to. Safe to use from several threads."""

    def __init__(self, settings: OtlpHttpExporterSettings) -> None:
        """Prepare; it connects with the first export. Raises HopspanError for an unusable TLS file."""
        self._client = HttpClient(settings, PROTOBUF_TYPE)

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:
        """Send `request`, an ExportTraceServiceRequest, once; `timeout_ns` in place of the configured timeout.

        Raises RetryableExportError or PermanentExportError.
        """
        answer = self._client.post(request, timeout_ns)
        if not answer.is_success:
            raise self._make_error(answer)
        if answer.content_type != PROTOBUF_TYPE:
            # Some servers answer with a word of their own; the status counts.
            return ExportResult()
        result = read_result(answer.body)
        return ExportResult(result.rejected_spans, self._client.blot_out(result.message))

    def close(self) -> None:
        """Close all connections; calls in flight end as CANCELLED."""
        self._client.close()

    def _make_error(self, answer: HttpAnswer) -> ExportError:
        text, retry_after_ns = answer.body.decode(errors="replace"), None
        if answer.content_type == PROTOBUF_TYPE:
            text, retry_after_ns = _read_status_message(answer.body), read_retry_after_ns(answer.body)
        return make_error(answer, self._client.blot_out(text), time.time_ns(), retry_after_ns)


def _read_status_message(status: bytes) -> str:
    # google.rpc.Status: code 1, message 2, details 3. As far as it can be read: it may have been cut.
    message = b""
    try:
        for number, wire_type, _, start, end in read_fields(status, 0, len(status)):
            if (number, wire_type) == (2, LENGTH):
                message = status[start:end]
    except WireError:
        return message.decode(errors="replace")
    return message.decode(errors="replace")
