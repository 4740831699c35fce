"""The file exporter: whole lines, also when the disk is full."""

import json
import os
from pathlib import Path

import pytest

from collector_plugin.exporter_file import FileExporter
from collector_plugin.otlp_json import decode_request
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from tests.collector_plugin.builders import make_request, make_resource_spans, make_span

REQUEST = make_request(make_resource_spans([make_span()]))


def test_each_request_is_a_line_at_once(tmp_path: Path) -> None:
    """A request is in the file when it counts as delivered, behind what was there before."""
    path = tmp_path / "spans.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    exporter = FileExporter(str(path))
    assert exporter.export(REQUEST) == ExportResult()
    assert exporter.export(REQUEST) == ExportResult()
    lines = path.read_bytes().splitlines()
    assert lines[0] == b"{}"
    assert [decode_request(line) for line in lines[1:]] == [REQUEST, REQUEST]
    assert list(json.loads(lines[1])) == ["resourceSpans"]
    exporter.close()


def test_bytes_that_are_no_request_are_refused(tmp_path: Path) -> None:
    """Nothing is written of what cannot be read."""
    exporter = FileExporter(str(tmp_path / "out"))
    with pytest.raises(PermanentExportError, match="INVALID_ARGUMENT"):
        exporter.export(b"\xff\xff")
    exporter.close()
    assert (tmp_path / "out").read_bytes() == b""


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes only part of a line leaves no part of it."""
    path = tmp_path / "out"
    exporter = FileExporter(str(path))
    exporter.export(REQUEST)
    before = path.read_bytes()
    real = exporter._file

    class FullDisk:
        """Takes ten bytes, then none."""

        def fileno(self) -> int:
            return real.fileno()

        def write(self, data: bytes) -> int:
            return real.write(data[:10]) or 0

    monkeypatch.setattr(exporter, "_file", FullDisk())
    with pytest.raises(RetryableExportError, match="10 of"):
        exporter.export(REQUEST)
    monkeypatch.undo()
    assert path.read_bytes() == before
    exporter.export(REQUEST)
    assert path.read_bytes() == before * 2
    exporter.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_worth_another_attempt(tmp_path: Path) -> None:
    """Space may come back; the error says which file."""
    link = tmp_path / "full"
    link.symlink_to("/dev/full")
    exporter = FileExporter(str(link))
    with pytest.raises(RetryableExportError, match="full cannot be written"):
        exporter.export(REQUEST)
    exporter.close()


def test_closed_exporter_fails_as_retryable(tmp_path: Path) -> None:
    """After the end nothing is taken."""
    exporter = FileExporter(str(tmp_path / "out"))
    exporter.close()
    with pytest.raises(RetryableExportError):
        exporter.export(REQUEST)


def test_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A start with a wrong path says which."""
    path = os.fspath(tmp_path / "absent" / "out")
    with pytest.raises(HopspanError, match="out cannot be written: No such file"):
        FileExporter(path)
