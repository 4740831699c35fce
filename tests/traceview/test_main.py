"""The command `python -m traceview`."""

import runpy
from pathlib import Path

import pytest

from traceview.__main__ import main

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(CHECKOUT["build_lines"](3)))
    return str(path)


def test_draws_every_trace(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a choice all traces of the file are drawn."""
    assert main([file]) == 0
    assert capsys.readouterr().out.count("\ntrace ") == 3


def test_draws_the_chosen_trace(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The head of an id chooses, in either case."""
    trace_id = CHECKOUT["Story"](1).trace_id
    assert main([file, "--trace", trace_id[:8].upper()]) == 0
    assert capsys.readouterr().out.count(f"\ntrace {trace_id}") == 1


def test_writes_the_page(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page is written instead of the drawing."""
    out = tmp_path / "page.html"
    assert main([file, "--html", str(out)]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.jsonl"], "none.jsonl: No such file or directory"),
        (["FILE", "--trace", "xyz"], "no traces begin with 'xyz'"),
        (["FILE", "--trace", ""], "3 traces begin with ''"),
        (["FILE", "--html", "none/page.html"], "none/page.html: No such file or directory"),
    ],
)
def test_bad_input(file: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on standard error and exit code 2."""
    assert main([file if argument == "FILE" else argument for argument in arguments]) == 2
    caught = capsys.readouterr()
    assert caught.err == f"traceview: {words}\n"
    assert caught.out == ""
