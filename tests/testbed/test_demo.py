"""The demo, run as its user runs it: what it prints and leaves, and how it ends when something is amiss."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.namespace import list_namespaces
from testbed.process import ManagedProcess, run_in
from testbed.recorder import Recorder
from testbed.topology import NAMESPACE_PREFIX, NODES, PODS, ROOT_LINK_PREFIX
from traceview.trace_file import load_spans

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("able_machine")]

DEMO = [sys.executable, "-m", "testbed.demo", "--work-dir"]
REQUESTS = 3
SPANS = REQUESTS * (15 + 20)  # the services' and sidecars', and the hops of both exchanges
TIMEOUT_S = 90.0
CHAIN = ["veth-hop", "host-forward", "vxlan-encap", "underlay", "vxlan-decap", "host-forward", "veth-hop"]


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    return tmp_path / "demo"


@contextmanager
def started_demo(work_dir: Path, *more: str) -> Iterator[ManagedProcess]:
    """Run the demo; whatever becomes of it, nothing of it may stay on the machine."""
    command = [*DEMO, str(work_dir), "--requests", str(REQUESTS), *more]
    log_path = work_dir.with_name("demo.log")
    with run_in(None, command, log_path=log_path, environment={"PYTHONUTF8": "1", "COLUMNS": "80"}) as demo:
        yield demo
    assert list_namespaces(NAMESPACE_PREFIX) == []
    assert [name for _, name in socket.if_nameindex() if name.startswith(ROOT_LINK_PREFIX)] == []
    assert find_processes(str(work_dir)) == []


def find_processes(text: str) -> list[int]:
    """Return the processes that have the text in their command line, but the demo itself."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    lines = [line for line in listed.splitlines() if text in line and "testbed.demo" not in line]
    return [int(line.split()[0]) for line in lines]


def find_free_port() -> int:
    """Return a TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_demo_shows_writes_and_sends_every_trace(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 0, shows one trace and all hops' times, and file, page and backend have the same whole traces."""
    monkeypatch.delenv("PYTHONPATH")  # without what the tests share: this one's probes compile, as a user's do
    work_dir.mkdir()
    (work_dir / "trace.json").write_text("of an earlier run\n")
    backend = f"127.0.0.1:{find_free_port()}"
    with Recorder(backend) as recorder, started_demo(work_dir, "--otlp", backend) as demo:
        code = demo.wait_or_kill(TIMEOUT_S)
        output = demo.read_log()
    assert code == 0, output
    spans = load_spans(str(work_dir / "trace.json"))
    assert len(spans) == SPANS
    assert sorted((span.trace_id, span.span_id) for span in spans) == sorted(
        (span.trace_id, span.span_id) for span in recorder.spans
    )
    trace_ids = sorted({span.trace_id.hex() for span in spans})
    assert len(trace_ids) == REQUESTS
    assert sorted(output.partition(f"Sent to {backend}, trace ids:\n")[2].split()) == trace_ids
    page = (work_dir / "trace.html").read_text()
    assert all(trace_id in page for trace_id in trace_ids)
    check_output(output)
    names = [f"{pod.service}-{part}" for pod in PODS for part in ("application", "sidecar")]
    names += [f"{node.name}-probe" for node in NODES] + ["collector-plugin"]
    assert sorted(path.stem for path in (work_dir / "logs").glob("*.log")) == sorted(names)


def check_output(output: str) -> None:
    """Check the printed waterfall and table: all hops both ways, plain text of at most 80 cells."""
    request = re.findall(r"→ (\S+)", output.partition("frontend → cart")[0])
    response = re.findall(r"← (\S+)", output.partition("frontend → cart")[0])
    legend = ["request", "response"]
    assert request == [*CHAIN, *CHAIN[:2], CHAIN[-1], legend[0]]
    assert response == [*CHAIN, *CHAIN[:2], CHAIN[-1], legend[1]]
    assert re.search(r"= network \S+ us \(\d+ %\) \+ server \S+ us \(\d+ %\) \+ remainder \S+ us", output)
    for pair in ("frontend → cart, 3 times", "frontend → catalog, 3 times"):
        assert re.search(f"^{pair} +request, us +response, us$", output, re.MULTILINE)
    assert len(re.findall(r"^  all hops( +\d+\.\d){4}$", output, re.MULTILINE)) == 2
    assert "\x1b" not in output
    assert [line for line in output.splitlines() if len(line) > 80 and not line.startswith("/")] == []


def test_demo_names_what_is_missing(work_dir: Path) -> None:
    """A probe that is killed and a backend that is not there: exit code 1, and both are named with what they cost."""
    backend = f"127.0.0.1:{find_free_port()}"
    with started_demo(work_dir, "--otlp", backend) as demo:
        demo.wait_for_output("services:", TIMEOUT_S)
        (probe,) = find_processes(str(work_dir / "logs" / "node-2-probe.yaml"))
        os.kill(probe, signal.SIGKILL)
        code = demo.wait_or_kill(TIMEOUT_S)
        output = demo.read_log()
    assert code == 1
    _, _, complaint = output.partition("\ndemo: incomplete:\n")
    assert f"  node-2-probe exited with -9: see {work_dir / 'logs' / 'node-2-probe.log'}\n" in complaint
    assert f"  the backend {backend} took 0 of {SPANS - REQUESTS * 8} spans" in complaint
    assert len(re.findall(r"to cart: request: underlay \(hop 4 of 7\) missing", complaint)) == REQUESTS
    assert len(re.findall(r"to cart: response: veth-hop \(hop 1 of 7\) missing", complaint)) == REQUESTS
    assert "Complete" not in output
    assert "Sent to" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_demo_in_order(work_dir: Path, number: signal.Signals) -> None:
    """A Ctrl-C while the services start ends all of it with 130, and the plugin could write its last line."""
    with started_demo(work_dir) as demo:
        demo.wait_for_output("services:", TIMEOUT_S)
        demo.send_signal(number)
        assert demo.wait_or_kill(TIMEOUT_S) == 130
        assert "Traceback" not in demo.read_log()
    last = (work_dir / "logs" / "collector-plugin.log").read_text().splitlines()[-1]
    assert json.loads(last)["message"] == "stopped"


@pytest.mark.parametrize("option", [("--otlp", "http://host:4317"), ("--otlp", "host"), ("--requests", "0")])
def test_bad_option_is_named(work_dir: Path, option: tuple[str, str]) -> None:
    """An option that cannot be meant ends the demo with 2 before it starts anything."""
    done = subprocess.run([*DEMO, str(work_dir), *option], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"argument {option[0]}: " in done.stderr
    assert not work_dir.exists()


def test_missing_requirements_are_named(work_dir: Path) -> None:
    """Without the tools that it needs the demo ends with 1 and names their packages."""
    without_tools = {"PATH": str(work_dir)}
    done = subprocess.run([*DEMO, str(work_dir)], env=without_tools, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "\ndemo: this machine lacks:\n  ip: no such command (package iproute2)\n" in done.stderr
