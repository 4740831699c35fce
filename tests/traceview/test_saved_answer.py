"""Files that hold a backend's answer are known by their head, and read as that answer."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from traceview import trace_file
from traceview.otlp_json import TraceFileError
from traceview.saved_answer import find_reader
from traceview.trace_file import list_files, load_reading, walk_readings

ANSWERS = Path(__file__).parent / "golden" / "answers"
NAMES = ["jaeger_v1.json", "jaeger_v3.json", "zipkin_v2.json"]
SPAN = '{"traceId":"%s","spanId":"%s","startTimeUnixNano":1,"endTimeUnixNano":2}' % ("a" * 32, "b" * 16)  # noqa: UP031
LINE = '{"resourceSpans":[{"scopeSpans":[{"spans":[' + SPAN + "]}]}]}\n"


@pytest.mark.parametrize("name", NAMES)
def test_answers(name: str, tmp_path: Path) -> None:
    """As they came, and printed over many lines for people."""
    as_it_came = load_reading(str(ANSWERS / name))
    assert len(as_it_came.spans) == 35
    pretty = tmp_path / "pretty.json"
    pretty.write_text(json.dumps(json.loads((ANSWERS / name).read_text()), indent=2))
    assert load_reading(str(pretty)) == as_it_came
    assert list(walk_readings(str(pretty))) == [as_it_came]


def test_search_of_zipkin(tmp_path: Path) -> None:
    """A list of traces is read too."""
    (tmp_path / "found.json").write_text(f"[{(ANSWERS / 'zipkin_v2.json').read_text()}]")
    assert len(load_reading(str(tmp_path / "found.json")).spans) == 35


def test_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a request a line stays that, and over several lines it is one request."""
    path = tmp_path / "traces.jsonl"
    path.write_text(LINE * 3)
    assert len(load_reading(str(path)).spans) == 3
    assert [len(reading.spans) for reading in walk_readings(str(path))] == [1, 1, 1]
    path.write_text(json.dumps(json.loads(LINE), indent=1))
    assert len(load_reading(str(path)).spans) == 1
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(LINE.encode()))))
    assert len(load_reading("-").spans) == 1


@pytest.mark.parametrize("head", [b"", b"{}", b"{", b"x", LINE.encode(), b'{"resource', b'{"other":1}'])
def test_what_is_no_answer(head: bytes) -> None:
    """Anything else is read line by line, and has its faults told with the line's number."""
    assert find_reader(head) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "no spans in it"),
        ('{"data":[', "it is not the JSON expected"),
        ('[{"traceId":"1","id":"2"}]', "no spans in it; left out, spans that cannot be read: 1"),
        ("", "no spans in it"),
    ],
)
def test_errors_name_the_file(content: str, words: str, tmp_path: Path) -> None:
    """An answer that cannot be read is told under the file's name."""
    path = tmp_path / "answer.json"
    path.write_text(content)
    with pytest.raises(TraceFileError) as caught:
        load_reading(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is read whole, so its size has a limit of its own."""
    monkeypatch.setattr(trace_file, "MAX_ANSWER_BYTES", 100)
    with pytest.raises(TraceFileError, match="a backend's answer of more than 100 bytes"):
        load_reading(str(ANSWERS / "zipkin_v2.json"))


def test_list_files(tmp_path: Path) -> None:
    """A file is itself, a folder its JSON files, a pattern what fits it, in order; nothing found is an error."""
    for name in ("b.json", "a.jsonl", "notes.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.json").mkdir()
    both = (str(tmp_path / "a.jsonl"), str(tmp_path / "b.json"))
    assert list_files(str(tmp_path)) == both
    assert list_files(f"{tmp_path}/[ab].json*") == both
    assert list_files(str(tmp_path / "notes.txt")) == (str(tmp_path / "notes.txt"),)
    assert list_files("none.jsonl") == ("none.jsonl",)
    assert list_files("-") == ("-",)
    for path, words in (
        (f"{tmp_path}/*.csv", "no file fits"),
        (str(tmp_path / "folder.json"), "no .json or .jsonl file"),
    ):
        with pytest.raises(TraceFileError, match=words):
            list_files(path)
