"""The files of this package: reads spans, writes pages. The only module here that opens files."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO

from traceview.otlp_json import MAX_LINE_BYTES, TraceFileError, read_spans, walk_lines
from traceview.span import Span

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Room for MAX_SPANS spans of 2 KiB of JSON each."""

SUFFIXES = (".json", ".jsonl")
"""Of files in a folder that is given as a set."""


def load_spans(path: str) -> tuple[Span, ...]:
    """Return the spans of the OTLP JSON file at `path`, `-` for standard input.

    Raises TraceFileError, whose text names the file, where it cannot be read or holds no span.
    """
    with _open_lines(path) as lines:
        spans = read_spans(lines)
        if not spans:
            raise TraceFileError("no spans in it")
        return spans


def walk_spans(path: str) -> Iterator[list[Span]]:
    """Yield the spans of the file at `path` line by line, however many they are. Raises as `load_spans` does."""
    with _open_lines(path) as lines:
        for _, spans in walk_lines(lines):
            yield spans


def list_files(path: str) -> tuple[str, ...]:
    """Return the files that `path` means: itself, those of a folder, or those that a pattern such as `a*.jsonl` fits.

    Raises TraceFileError where there are none.
    """
    if path == "-" or Path(path).is_file():
        return (path,)
    if Path(path).is_dir():
        found = [str(file) for file in Path(path).iterdir() if file.suffix in SUFFIXES and file.is_file()]
        what = f"{path}: no {' or '.join(SUFFIXES)} file in this folder"
    else:
        # Path.glob takes no absolute pattern.
        fits = glob(path, recursive=True) if has_magic(path) else [path]  # noqa: PTH207
        found = [file for file in fits if Path(file).is_file() or not has_magic(path)]
        what = f"{path}: no file fits this pattern"
    if not found:
        raise TraceFileError(what)
    return tuple(sorted(found))


@contextmanager
def _open_lines(path: str) -> Iterator[Iterator[bytes]]:
    """Open a file, and let what goes wrong with it be told under its name."""
    try:
        if path == "-":
            yield _bounded_lines(sys.stdin.buffer)
        else:
            with Path(path).open("rb") as file:
                yield _bounded_lines(file)
    except OSError as error:
        raise TraceFileError(f"{path}: {error.strerror}") from error
    except TraceFileError as error:
        raise TraceFileError(f"{path}: {error}") from error


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
