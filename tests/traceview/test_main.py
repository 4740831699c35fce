"""The command `hopspan`: what it prints where, and its exit codes."""

import json
import runpy
from pathlib import Path

import pytest

from tests.traceview.fake_backend import FakeBackend, make_answer
from traceview.__main__ import main

HERE = Path(__file__).parent
CHECKOUT = runpy.run_path(str(HERE / "make_checkout.py"))
ANSWERS = HERE / "golden" / "answers"
TRACE_ID = "7c8f9710a684954c62a7941fd4a10321"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(CHECKOUT["build_lines"](3)))
    return str(path)


def read_golden(name: str) -> bytes:
    return make_answer(200, (ANSWERS / name).read_bytes())


Caught = pytest.CaptureFixture[str]


@pytest.mark.parametrize("command", [["show"], []])
def test_show_draws_every_trace(command: list[str], file: str, capsys: Caught) -> None:
    """Without a choice all traces of the file are drawn, also where only the file is named."""
    assert main([*command, file]) == 0
    assert capsys.readouterr().out.count("\ntrace ") == 3


def test_show_draws_the_chosen_trace(file: str, capsys: Caught) -> None:
    """The head of an id chooses, in either case."""
    trace_id = CHECKOUT["Story"](1).trace_id
    assert main(["show", file, "--trace", trace_id[:8].upper()]) == 0
    assert capsys.readouterr().out.count(f"\ntrace {trace_id}") == 1


def test_show_writes_the_page(file: str, tmp_path: Path, capsys: Caught) -> None:
    """A page is written instead of the drawing; options may stand before the file."""
    out = tmp_path / "page.html"
    assert main(["--html", str(out), file]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert capsys.readouterr().out == ""


def test_rows_are_limited(file: str, capsys: Caught) -> None:
    """No more rows and exchanges than asked for are drawn, and how many more there are is said."""
    assert main(["show", file, "--trace", TRACE_ID, "--rows", "1"]) == 0
    out = capsys.readouterr().out
    assert "... and 34 spans more\n" in out
    assert "... and 1 exchanges more\n" in out
    assert "veth-hop" not in out


def test_show_json(file: str, capsys: Caught) -> None:
    """A line a trace, in printable ASCII."""
    assert main(["show", file, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [json.loads(line) for line in lines]
    assert [trace["hops"] for trace in found] == [20, 20, 20]
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.jsonl"], 2, "none.jsonl: No such file or directory"),
        (["show", "FILE", "--trace", "xyz"], 1, "no traces begin with 'xyz'"),
        (["show", "FILE", "--trace", ""], 2, "3 traces begin with ''"),
        (["show", "FILE", "--html", "none/page.html"], 2, "none/page.html: No such file or directory"),
        (["diff", "FILE", "none.jsonl"], 2, "none.jsonl: No such file or directory"),
        (["diff", "FILE", "FILE", "--service", "x"], 2, "--from: missing, the other options of a backend need it"),
        (["diff", "now-1h/now", "FILE", "--from", "zipkin"], 2, "--service: missing, --from needs it"),
        (
            ["diff", "now/later", "FILE", "--from", "zipkin", "--service", "x"],
            2,
            "'later' is no moment (such as 2026-11-29T10:00:00Z, now, now-2h)",
        ),
        (["diff", "-", "-"], 2, "-: standard input is one set, and cannot be both"),
        (["trace", "1", "--from", "jaeger", "--key-file", "k"], 2, "--cert-file: missing (key-file needs it)"),
        (
            ["trace", "1", "--from", "jaeger", "--ca-file", "c", "--insecure"],
            2,
            "--ca-file: has no effect with --insecure",
        ),
        (["trace", "1", "--from", "jaeger", "--header", "Host : x", "--header", "host: y"], 2, "given twice"),
    ],
)
def test_bad_input(file: str, arguments: list[str], code: int, words: str, capsys: Caught) -> None:
    """One line on standard error, and the exit code that `--help` lists."""
    assert main([file if argument == "FILE" else argument for argument in arguments]) == code
    caught = capsys.readouterr()
    assert caught.err.startswith("hopspan: ")
    assert words in caught.err
    assert caught.err.count("\n") == 1
    assert caught.out == ""


def test_trace(capsys: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace of a backend is drawn as the same trace of a file is."""
    monkeypatch.setenv("COLUMNS", "140")
    with FakeBackend({f"/api/v3/traces/{TRACE_ID}": read_golden("jaeger_v3.json")}) as backend:
        arguments = ["trace", f"0x{TRACE_ID.upper()}", "--from", "jaeger", "--url", str(backend.url)]
        assert main([*arguments, "--header", "X-Scope-OrgID: 7"]) == 0
    drawn = capsys.readouterr().out
    assert drawn == (HERE / "golden" / "checkout_140_utf-8.txt").read_text(encoding="utf-8")
    assert "X-Scope-OrgID: 7\r\n" in backend.requests[0]


def test_trace_says_what_was_left_out(capsys: Caught, tmp_path: Path) -> None:
    """Spans that cannot be read are told below the drawing, in the JSON, and beside a page."""
    short = "a3ce929d0e0e4736"
    with FakeBackend({f"/api/v2/trace/{short}": read_golden("zipkin_v2_shared.json")}) as backend:
        arguments = ["trace", short, "--from", "zipkin", "--url", str(backend.url)]
        assert main(arguments) == 0
        assert "left out, spans that cannot be read: 1;" in capsys.readouterr().out
        assert main([*arguments, "--json"]) == 0
        assert "cannot be read: 1" in json.loads(capsys.readouterr().out)["left_out"][0]
        assert main([*arguments, "--html", str(tmp_path / "page.html")]) == 0
        assert "cannot be read: 1" in capsys.readouterr().err


def test_trace_that_is_not_there(capsys: Caught) -> None:
    """No such trace is 1, a backend that does not work 2; both say where."""
    missing = make_answer(404, f"{TRACE_ID} not found".encode())
    with FakeBackend({f"/api/v2/trace/{TRACE_ID}": missing}) as backend:
        arguments = ["trace", TRACE_ID, "--from", "zipkin", "--url", str(backend.url)]
        assert main(arguments) == 1
        assert capsys.readouterr().err == f"hopspan: {backend.url}: it has no trace {TRACE_ID}\n"
        assert main([*arguments[:3], "jaeger", *arguments[4:]]) == 2


def test_trace_without_hops(tmp_path: Path, capsys: Caught) -> None:
    """A trace that hopspan has not seen says so."""
    lines = [line for line in CHECKOUT["build_lines"](1) if '"hopspan"' not in line]
    (tmp_path / "bare.jsonl").write_text("\n".join(lines))
    assert main(["show", str(tmp_path / "bare.jsonl")]) == 0
    out = capsys.readouterr().out
    assert "15 spans, 0 hops\n" in out
    assert "\nno network hops: " in out


@pytest.mark.parametrize("command", [[], ["trace"], ["show"], ["diff"]])
def test_help(command: list[str], capsys: Caught) -> None:
    """Each part has its help, with the exit codes."""
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert "  1  no such trace; of diff: a difference seen\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["trce", "1"], "invalid choice: 'trce'"),
        (["trace", "xyz", "--from", "jaeger"], "'xyz' is not a trace id: 'x' is no hex digit"),
        (["trace", "1"], "required: --from"),
        (["trace", "1", "--from", "tempo"], "--from"),
        (["trace", "1", "--from", "jaeger", "--url", "localhost"], "'localhost' is not a URL"),
        (["trace", "1", "--from", "jaeger", "--timeout", "5"], "'5' is not a duration"),
        (["trace", "1", "--from", "jaeger", "--header", "sesame"], "it is not 'NAME: VALUE'"),
        (["trace", "1", "--from", "jaeger", "--header", "@/none"], "/none: No such file or directory"),
        (["show", "x.jsonl", "--rows", "0"], "'0' is not a number from 1 to"),
        (["show", "x.jsonl", "--json", "--html", "y"], "not allowed with argument"),
        (["diff", "a.jsonl", "b.jsonl", "--confidence", "nan"], "'nan' is not a number from 50 to 99.999"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: Caught) -> None:
    """The usage and one line, exit code 2; the values of headers are not repeated."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert "sesame" not in error
