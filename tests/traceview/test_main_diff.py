"""The command `hopspan diff`."""

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


Caught = pytest.CaptureFixture[str]


def read_golden(name: str) -> bytes:
    return make_answer(200, (ANSWERS / name).read_bytes())


def write_slower(path: Path, count: int, extra_ns: int) -> str:
    lines = []
    for line in CHECKOUT["build_lines"](count):
        request = json.loads(line)
        for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            for item in span.get("attributes", ()):
                if span["name"] == "vxlan-encap" and item["key"] == "hopspan.duration_ns":
                    item["value"]["intValue"] = str(int(item["value"]["intValue"]) + extra_ns)
        lines.append(json.dumps(request))
    path.write_text("\n".join(lines))
    return str(path)


def test_diff(tmp_path: Path, capsys: Caught) -> None:
    """0 for no difference, 1 for one, 3 where there are too few hops to say."""
    folder = tmp_path / "before"
    folder.mkdir()
    write_slower(folder / "one.jsonl", 30, 0)
    write_slower(folder / "two.json", 15, 0)
    after = write_slower(tmp_path / "after.jsonl", 30, 30_000)
    assert main(["diff", str(folder), f"{folder}/*.jsonl"]) == 0
    out = capsys.readouterr().out
    assert f"before  {folder}: 600 hops in 30 traces\n  hops that came again, counted once: 300\n" in out
    assert main(["diff", str(folder), after, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    slower = {hop["name"] for hop in found["hops"] if hop["p50"]["verdict"] == "slower"}
    assert slower == {"vxlan-encap", "all hops, two nodes"}
    few = write_slower(tmp_path / "few.jsonl", 2, 0)
    assert main(["diff", few, few]) == 3
    assert "too few to say" in capsys.readouterr().out


def test_diff_of_a_backend(capsys: Caught, tmp_path: Path) -> None:
    """Sets come from times of a backend; a set may be a file beside; what was found, and the limit, is told."""
    file = write_slower(tmp_path / "before.jsonl", 1, 0)
    with FakeBackend({"/api/v3/traces": read_golden("jaeger_v3.json")}) as backend:
        arguments = ["diff", file, "now-1h/now", "--from", "jaeger", "--url", str(backend.url), "--service", "cart"]
        assert main([*arguments, "--limit", "1", "--by-nodes"]) == 3
    out = capsys.readouterr().out
    assert f"before  {file}: 20 hops in 1 traces\nafter   now-1h/now: 20 hops in 1 traces\n  1 traces found\n" in out
    assert "the limit of 1 traces is reached: there may be more\n" in out
    assert "\nnode-1 > node-2\n" in out
    assert "query.searchDepth=1" in backend.targets[0]
