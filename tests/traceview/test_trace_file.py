"""Files are read and written; what goes wrong names the file."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from traceview import trace_file
from traceview.otlp_json import TraceFileError
from traceview.trace_file import load_spans, save_page

SPAN = '{"traceId":"%s","spanId":"%s","startTimeUnixNano":1,"endTimeUnixNano":2}' % ("a" * 32, "b" * 16)  # noqa: UP031
LINE = '{"resourceSpans":[{"scopeSpans":[{"spans":[' + SPAN + "]}]}]}\n"


def test_load_spans(tmp_path: Path) -> None:
    """A line more is a span more; the last one needs no newline."""
    path = tmp_path / "traces.jsonl"
    path.write_text(LINE * 2 + LINE.strip())
    assert len(load_spans(str(path))) == 3


def test_load_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads what is piped in."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(LINE.encode())))
    assert len(load_spans("-")) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "no spans in it"), ("{}\n", "no spans in it"), (LINE + "{", "line 2: "), (None, "No such file")],
)
def test_errors_name_the_file(tmp_path: Path, content: str | None, words: str) -> None:
    """The error begins with the path."""
    path = tmp_path / "traces.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TraceFileError) as caught:
        load_spans(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends at the limit."""
    monkeypatch.setattr(trace_file, "MAX_FILE_BYTES", 2 * len(LINE))
    path = tmp_path / "traces.jsonl"
    path.write_text(LINE * 2)
    assert len(load_spans(str(path))) == 2
    path.write_text(LINE * 3)
    with pytest.raises(TraceFileError, match="larger than"):
        load_spans(str(path))


def test_save_page(tmp_path: Path) -> None:
    """A page is written as UTF-8; a folder that is not there is named."""
    save_page(str(tmp_path / "page.html"), "µ")
    assert (tmp_path / "page.html").read_bytes() == "µ".encode()
    with pytest.raises(TraceFileError, match=r"none/page\.html: No such file"):
        save_page(str(tmp_path / "none" / "page.html"), "")
