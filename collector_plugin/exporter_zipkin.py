"""Sends Zipkin v2 JSON to a Zipkin server: https://zipkin.io/zipkin-api/#/default/post_spans.

One attempt per call. The server answers 202 before its storage has the spans; more it does not tell.
"""

import time

from collector_plugin.span_request import SpanFormat
from hopspan.export_errors import ExportResult
from hopspan.http_answer import make_error
from hopspan.http_client import HttpClient
from hopspan.http_export_settings import ZipkinExporterSettings

JSON_TYPE = "application/json"


class ZipkinExporter:
    """A Zipkin server. Safe to use from several threads."""

    format = SpanFormat.ZIPKIN

    def __init__(self, settings: ZipkinExporterSettings) -> None:
        """Prepare; it connects with the first export. Raises HopspanError for an unusable TLS file."""
        self._client = HttpClient(settings, JSON_TYPE)

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:
        """Send `request`, a JSON array of spans, once; `timeout_ns` in place of the configured timeout.

        Raises RetryableExportError or PermanentExportError.
        """
        answer = self._client.post(request, timeout_ns)
        if not answer.is_success:
            text = self._client.blot_out(answer.body.decode(errors="replace"))
            raise make_error(answer, text, time.time_ns())
        return ExportResult()

    def close(self) -> None:
        """Close all connections; calls in flight end as CANCELLED."""
        self._client.close()
