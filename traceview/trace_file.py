"""The files of this package: reads spans, writes pages. The only module here that opens files."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from traceview.otlp_json import MAX_LINE_BYTES, TraceFileError, read_spans
from traceview.span import Span

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Room for MAX_SPANS spans of 2 KiB of JSON each."""


def load_spans(path: str) -> tuple[Span, ...]:
    """Return the spans of the OTLP JSON file at `path`, `-` for standard input.

    Raises TraceFileError, whose text names the file, where it cannot be read or holds no span.
    """
    try:
        if path == "-":
            spans = read_spans(_bounded_lines(sys.stdin.buffer))
        else:
            with Path(path).open("rb") as file:
                spans = read_spans(_bounded_lines(file))
    except OSError as error:
        raise TraceFileError(f"{path}: {error.strerror}") from error
    except TraceFileError as error:
        raise TraceFileError(f"{path}: {error}") from error
    if not spans:
        raise TraceFileError(f"{path}: no spans in it")
    return spans


def save_page(path: str, page: str) -> None:
    """Write a page; raises TraceFileError, whose text names the file, where that fails."""
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise TraceFileError(f"{path}: {error.strerror}") from error


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    read_bytes = 0
    # One byte beyond the limit, so that read_spans sees, and names, a line that is too long.
    while line := file.readline(MAX_LINE_BYTES + 1):
        read_bytes += len(line)
        if read_bytes > MAX_FILE_BYTES:
            raise TraceFileError(f"larger than {MAX_FILE_BYTES} bytes")
        yield line
