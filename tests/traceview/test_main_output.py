"""The output of the command `hopspan`: pipes, colours, a full disk, and nothing that steers a terminal."""

import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.traceview.fake_backend import FakeBackend, make_answer
from traceview.__main__ import main

HERE = Path(__file__).parent
CHECKOUT = runpy.run_path(str(HERE / "make_checkout.py"))
ANSWERS = HERE / "golden" / "answers"
TRACE_ID = "7c8f9710a684954c62a7941fd4a10321"


Caught = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(CHECKOUT["build_lines"](3)))
    return str(path)


def run(*arguments: str, environment: dict[str, str] | None = None, **options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "traceview", *arguments]
    return subprocess.Popen(command, env={**os.environ, **(environment or {})}, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return] # as they come


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_reader_that_goes_away(option: list[str], tmp_path: Path) -> None:
    """`| head` ends it without a word, with the code of SIGPIPE."""
    file = tmp_path / "many.jsonl"
    file.write_text("\n".join(CHECKOUT["build_lines"](60)))
    with run("show", str(file), *option, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_a_full_disk(file: str) -> None:
    """Output that cannot be written is an error."""
    with Path("/dev/full").open("wb") as full, run("show", file, "--json", stdout=full) as process:
        assert process.stderr is not None
        assert process.stderr.read() == b"hopspan: standard output: No space left on device\n"
        assert process.wait() == 2


@pytest.mark.parametrize(
    ("closed", "words"),
    [("<&-", "-: standard input is closed"), (">&-", "standard output is closed"), (">&- 2>&-", "")],
)
def test_closed_files(closed: str, words: str) -> None:
    """Standard files that whoever started it has closed are no traceback."""
    command = f"{shlex.quote(sys.executable)} -m traceview show - {closed}"
    done = subprocess.run(["sh", "-c", command], input=b"", capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.decode() == (f"hopspan: {words}\n" if words else "")


def test_no_colours_in_pipes(file: str) -> None:
    """A pipe gets no escapes, and lines of 120 cells; where colours are forced, NO_COLOR forbids them."""
    lines = read_output(file, {"COLUMNS": ""}).splitlines()
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) == 120
    assert "\x1b[1;35m" in read_output(file, {"FORCE_COLOR": "1"})
    assert "\x1b[1;35m" not in read_output(file, {"FORCE_COLOR": "1", "NO_COLOR": "1"})


def read_output(file: str, environment: dict[str, str]) -> str:
    with run("show", file, "--trace", TRACE_ID, environment=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        return process.stdout.read().decode()


def test_control_characters_reach_no_terminal(capsys: Caught) -> None:
    """Whatever a backend puts into names, attributes and errors, only printable characters are printed."""
    evil = "\\u001b]0;x\\u0007\\u009b2J\\u202e\\r"
    tags = f'"tags":{{"hopspan.node":"{evil}","network.interface.name":"{evil}","otel.scope.name":"hopspan"}}'
    spans = [
        f'{{"traceId":"{TRACE_ID}","id":"1","name":"{evil}","timestamp":1,"localEndpoint":{{"serviceName":"{evil}"}}}}',
        f'{{"traceId":"{TRACE_ID}","id":"2","parentId":"1","name":"{evil}","timestamp":1,{tags}}}',
        f'{{"traceId":"{TRACE_ID}","id":"{evil}","name":"{evil}"}}',
    ]
    body = f"[{','.join(spans)}]".encode()
    path = f"/api/v2/trace/{TRACE_ID}"
    with FakeBackend(
        {path: make_answer(200, body), "/api/v2/traces": make_answer(200, b"[" + body + b"]")}
    ) as backend:
        places = ["--from", "zipkin", "--url", str(backend.url)]
        main(["trace", TRACE_ID, *places])
        main(["trace", TRACE_ID, *places, "--json"])
        main(["diff", "now-1h/now", "now-1h/now", *places, "--service", "x", "--by-nodes"])
        main(["diff", "now-1h/now", "now-1h/now", *places, "--service", "x", "--by-nodes", "--json"])
    caught = capsys.readouterr()
    assert caught.out
    assert all(char.isprintable() or char == "\n" for char in caught.out + caught.err)
