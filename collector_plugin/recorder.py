"""An exporter that keeps what it is given, for tests and dry runs; it can be told to fail."""

import threading

from hopspan.export_errors import ExportError, ExportResult


class RecordingExporter:
    """Keeps requests in `requests`, in the order in which they came."""

    def __init__(self) -> None:
        """Start empty, taking everything."""
        self.requests: list[bytes] = []
        self.failures: list[ExportError] = []
        """Raised one by one, the first first, before anything is taken again."""
        self.result = ExportResult()
        self.is_closed = False
        self._lock = threading.Lock()

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:  # noqa: ARG002 - never waits
        """Keep `request`, or raise the next of `failures`."""
        with self._lock:
            if self.failures:
                raise self.failures.pop(0)
            self.requests.append(request)
            return self.result

    def close(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True
