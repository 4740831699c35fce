"""The files of this package: reads spans, writes pages. The only module here that opens files."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob, has_magic
from io import BufferedReader
from pathlib import Path

from traceview.otlp_json import MAX_LINE_BYTES, TraceFileError, read_spans, walk_lines
from traceview.reading import AnswerError, Reading
from traceview.saved_answer import HEAD_BYTES, find_reader
from traceview.span import Span

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Room for MAX_SPANS spans of 2 KiB of JSON each."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""One document, so read whole; as much as is taken of a backend at once."""

SUFFIXES = (".json", ".jsonl")
"""Of files in a folder that is given as a set."""


def load_spans(path: str) -> tuple[Span, ...]:
    """Return the spans of the OTLP JSON file at `path`, `-` for standard input.

    Raises TraceFileError, whose text names the file, where it cannot be read or holds no span.
    """
    with _open_file(path) as file:
        spans = read_spans(_bounded_lines(file))
        if not spans:
            raise TraceFileError("no spans in it")
        return spans


def load_reading(path: str) -> Reading:
    """Return the spans of a file, which may be a backend's saved answer too. Raises as `load_spans` does."""
    with _open_file(path) as file:
        read = find_reader(file.peek(HEAD_BYTES)[:HEAD_BYTES])
        reading = Reading(read_spans(_bounded_lines(file))) if read is None else _read_answer(read, file)
        if not reading.spans:
            raise TraceFileError("; ".join(["no spans in it", *reading.describe()]))
        return reading


def walk_readings(path: str) -> Iterator[Reading]:
    """Yield what `load_reading` returns piece by piece: a line each, however many they are; an answer whole."""
    with _open_file(path) as file:
        read = find_reader(file.peek(HEAD_BYTES)[:HEAD_BYTES])
        if read is None:
            for _, spans in walk_lines(_bounded_lines(file)):
                yield Reading(tuple(spans))
        else:
            yield _read_answer(read, file)


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
def _open_file(path: str) -> Iterator[BufferedReader]:
    """Open a file, and let what goes wrong with it be told under its name."""
    try:
        if path == "-":
            yield _open_standard_input()
        else:
            with Path(path).open("rb") as file:
                yield file
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


def _open_standard_input() -> BufferedReader:
    # Python has None for a file that was closed before it began.
    stdin: BufferedReader | None = getattr(sys.stdin, "buffer", None)
    if stdin is None:
        raise TraceFileError("standard input is closed")
    return stdin


def _read_answer(read: Callable[[bytes], Reading], file: BufferedReader) -> Reading:
    body = file.read(MAX_ANSWER_BYTES + 1)
    if len(body) > MAX_ANSWER_BYTES:
        raise TraceFileError(f"a backend's answer of more than {MAX_ANSWER_BYTES} bytes")
    try:
        return read(body)
    except AnswerError as error:
        raise TraceFileError(str(error)) from error


def _bounded_lines(file: BufferedReader) -> Iterator[bytes]:
    read_bytes = 0
    # One byte beyond the limit, so that read_spans sees, and names, a line that is too long.
    while line := file.readline(MAX_LINE_BYTES + 1):
        read_bytes += len(line)
        if read_bytes > MAX_FILE_BYTES:
            raise TraceFileError(f"larger than {MAX_FILE_BYTES} bytes")
        yield line
