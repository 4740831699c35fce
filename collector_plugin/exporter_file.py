"""The door to files: appends requests as OTLP JSON, one a line, each written out before it counts as delivered.

A line that could not be written whole is taken back, so that what reads the file never meets half a request.
"""

import os
import threading
from pathlib import Path

from collector_plugin.otlp_json import OtlpJsonError, encode_request
from collector_plugin.span_request import SpanFormat
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError


class FileExporter:
    """An open file. Safe to use from several threads."""

    format = SpanFormat.OTLP

    def __init__(self, path: str) -> None:
        """Open the file for appending, making it where it does not exist. Raises HopspanError."""
        try:
            self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115 - open for as long as the exporter lives
        except OSError as error:
            raise HopspanError(f"{path} cannot be written: {error.strerror}") from error
        self._path = path
        self._lock = threading.Lock()

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:  # noqa: ARG002 - no wait to bound
        """Append the request. Raises PermanentExportError for bytes that are none, RetryableExportError otherwise."""
        try:
            line = encode_request(request) + b"\n"
        except OtlpJsonError as error:
            raise PermanentExportError("INVALID_ARGUMENT", str(error)) from error
        with self._lock:
            try:
                self._append(line)
            except (OSError, ValueError) as error:
                # ValueError: the file was closed.
                raise RetryableExportError("UNAVAILABLE", f"{self._path} cannot be written: {error}") from error
        return ExportResult()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _append(self, line: bytes) -> None:
        before = os.fstat(self._file.fileno()).st_size
        written: int | None = None
        try:
            written = self._file.write(line)
        finally:
            if written != len(line):
                os.ftruncate(self._file.fileno(), before)
        if written != len(line):
            raise OSError(f"{written} of {len(line)} bytes were written")
