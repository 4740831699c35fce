"""The rights that node-probe needs are those that are documented: it runs with exactly them, and as nobody."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_probe.capabilities import HOST_POINTS, POD_POINTS, Capability, choose_kept, needs_search
from node_probe.programs import CALLED, MAPS, PROGRAMS, SWEEP
from tests.house.repository import ROOT
from tests.kernel.made_node import DEADLINE_S, Node, Probe, expect_late_pod, find_python, wait_until
from tests.kernel.rights import as_nobody_with, as_root_with, expect_reduced, readable_tree
from tests.requirements import require_bcc, require_root

CONTEXTS = "2"
"""traceparent alone, as the compiling child is told."""

pytestmark = pytest.mark.bpf

SETPCAP = frozenset({Capability.SETPCAP})


@pytest.fixture
def directory() -> Iterator[Path]:
    """Make a directory that everybody may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="hstest-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def tree() -> Iterator[Path]:
    require_root()
    with readable_tree() as readable:
        yield readable


def test_nobody_with_five_capabilities(node: Node, directory: Path, tree: Path) -> None:
    """An ordinary user with ambient capabilities gets pod points, and so does the guardian what it needs."""
    before = node.filters()
    probe = Probe(node, directory, wrapper=as_nobody_with(HOST_POINTS | POD_POINTS), tree=tree)
    expect_reduced(probe, pod=True)
    expect_late_pod(node, probe, 4)
    probe.end(signal.SIGKILL)
    wait_until(lambda: node.filters() == before, "the state from before")
    assert node.attached() == 0


def test_nobody_with_three_capabilities(node: Node, directory: Path, tree: Path) -> None:
    """Without CAP_SYS_ADMIN it runs with the host's points, says so once, and SETPCAP lowers the bounding set too."""
    probe = Probe(node, directory, wrapper=as_nobody_with(HOST_POINTS | SETPCAP), tree=tree)
    expect_reduced(probe, pod=False)
    assert probe.capabilities()["CapBnd"] == choose_kept(pod=False, tcx=probe.mechanism == "tcx")
    told = [json.loads(line) for line in probe.log.read_text().splitlines()]
    assert [line["reason"] for line in told if "points alone" in line["message"]] == [
        "CAP_SYS_ADMIN, which pod points need, is missing"
    ]
    assert [line["points"] for line in told if line["message"] == "ready"] == [2]
    expect_late_pod(node, probe, 2)
    assert probe.end(signal.SIGTERM) == 0


def test_search_is_kept_where_the_code_needs_it(directory: Path) -> None:
    """Root keeps the right to search where the program lies in another user's home: the guardian is started later."""
    require_root()
    home = directory / "home"
    home.mkdir(mode=0o700)
    program = home / "program"
    program.touch()
    assert not needs_search([program, ROOT / "README.md"])
    os.chown(home, 65534, 65534)
    assert needs_search([ROOT / "README.md", program])
    assert not needs_search([ROOT / "README.md"])


def compile_with(wrapper: list[str], tree: Path) -> tuple[list[str], dict[str, set[int]]]:
    """Run the compiling child, and LLVM in it; return the names that it loaded, and its capabilities at its end."""
    parent, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [*wrapper, str(find_python(tree)), "-m", "node_probe.compiler", str(child.fileno()), CONTEXTS]
    # Without what the tests share of compilations.
    environment = os.environ | {"PYTHONPATH": str(tree)}
    process = subprocess.Popen(command, pass_fds=[child.fileno()], cwd=tree, env=environment)
    with parent:
        child.close()
        parent.settimeout(DEADLINE_S)
        data, fds, _, _ = socket.recv_fds(parent, 1 << 20, 100)
    for fd in fds:
        os.close(fd)
    # Of a process that has ended and was not waited for, the kernel still tells the rights.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert process.wait() == 0, data
    masks = re.findall(r"^(Cap\w+):\s*(\w+)$", status, re.MULTILINE)
    return json.loads(data)["names"], {
        name: {number for number in range(64) if int(mask, 16) >> number & 1} for name, mask in masks
    }


@pytest.mark.parametrize(
    ("wrapper", "kept", "bounding"),
    [
        ([], HOST_POINTS, HOST_POINTS),
        (as_root_with(HOST_POINTS | POD_POINTS), HOST_POINTS, HOST_POINTS | POD_POINTS),
        (as_nobody_with(HOST_POINTS | POD_POINTS | SETPCAP), HOST_POINTS, HOST_POINTS),
        # SYS_ADMIN stands for BPF and PERFMON: without it nothing could be loaded.
        (
            as_root_with({Capability.SYS_ADMIN, Capability.NET_ADMIN}),
            {Capability.SYS_ADMIN, Capability.NET_ADMIN},
            {Capability.SYS_ADMIN, Capability.NET_ADMIN},
        ),
    ],
    ids=["root", "root with five", "nobody with six", "root with SYS_ADMIN"],
)
def test_compiler_runs_with_least_rights(
    tree: Path, wrapper: list[str], kept: set[Capability], bounding: set[Capability]
) -> None:
    """Whatever the agent has at its start, LLVM runs with the rights that loading needs, and they are enough."""
    require_bcc()
    names, rights = compile_with(wrapper, tree)
    assert set(names) == {*PROGRAMS, *CALLED, SWEEP, *MAPS}
    assert rights == {"CapEff": kept, "CapPrm": kept, "CapBnd": bounding, "CapInh": set(), "CapAmb": set()}


@pytest.mark.parametrize(
    ("wrapper", "reason"),
    [
        (as_root_with(HOST_POINTS - {Capability.PERFMON}), "missing capabilities: CAP_PERFMON"),
        (as_root_with(()), "missing capabilities: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"),
        (["unshare", "--map-root-user"], "capabilities of a user namespace do not count"),
    ],
    ids=["one is missing", "all are missing", "user namespace"],
)
def test_missing_right_is_one_line(directory: Path, wrapper: list[str], reason: str) -> None:
    """What is missing is named in one line, before anything is compiled, and the exit code is 1."""
    require_root()
    require_bcc()
    config = directory / "probe.yaml"
    config.write_text('exporters: {otlp: {endpoint: "127.0.0.1:9", tls: {insecure: true}}}\n')
    command = [*wrapper, sys.executable, "-m", "node_probe", "--config", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 1, done.stderr
    (line,) = [json.loads(text) for text in done.stderr.splitlines()]
    assert line["message"] == "node-probe cannot run"
    assert reason in line["error"]
