"""What an exporter is to the pipeline: something that takes the bytes of an OTLP request, once per call.

Pure. The doors to outside things (gRPC, files) fit this shape without importing it.
"""

from typing import Protocol

from hopspan.export_errors import ExportResult


class Exporter(Protocol):
    """Sends requests to one destination. Safe to use from several threads."""

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:
        """Deliver `request`, an ExportTraceServiceRequest, within `timeout_ns` or the exporter's own timeout.

        Raises RetryableExportError or PermanentExportError.
        """

    def close(self) -> None:
        """Give back what the exporter holds; later exports fail as retryable."""


def merge_fits(size_bytes: int, more_bytes: int, limit_bytes: int) -> bool:
    """Tell whether a merged request of `size_bytes` can take `more_bytes`; an empty one takes anything."""
    return size_bytes == 0 or size_bytes + more_bytes <= limit_bytes
