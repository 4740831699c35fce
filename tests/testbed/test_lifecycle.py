"""Whatever ends the testbed, nothing of it stays: the state of the machine is compared before and after."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed import network
from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.mesh import running_mesh
from testbed.namespace import list_namespaces
from testbed.process import ManagedProcess, run_in
from testbed.topology import NAMESPACE_PREFIX, NODE_1, PODS

pytestmark = [pytest.mark.testbed, pytest.mark.usefixtures("able_machine")]

TIMEOUT_S = 60.0
PROGRAM = [sys.executable, "-m", "testbed"]


@dataclass(frozen=True)
class Machine:
    """What the testbed could leave behind."""

    namespaces: list[str]
    links: list[str]
    routes: str
    rules: str
    mounts: list[str]
    processes: list[str]


def read_machine() -> Machine:
    """Return the state of the root namespace and the testbed's processes."""
    return Machine(
        namespaces=list_namespaces(""),
        links=sorted(name for _, name in socket.if_nameindex()),
        routes=run("ip", "route", "show", "table", "all"),
        rules=run("iptables", "-t", "nat", "-S"),
        mounts=[line for line in Path("/proc/self/mountinfo").read_text().splitlines() if NAMESPACE_PREFIX in line],
        processes=list_processes(),
    )


def run(*command: str) -> str:
    """Return a command's output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def list_processes() -> list[str]:
    """Return the command lines of sidecars, applications and the testbed's own command."""
    lines = run("ps", "-ww", "-eo", "args").splitlines()  # or COLUMNS would cut them
    return sorted(line for line in lines if "-m testbed" in line or "envoy --config-path" in line)


def wait_for_namespaces(up: ManagedProcess) -> None:
    """Return amid the building of the network."""
    up.wait_until(lambda: bool(list_namespaces(NAMESPACE_PREFIX)), "made no namespace", TIMEOUT_S)


def wait_for_processes(up: ManagedProcess) -> None:
    """Return amid the start of applications and sidecars."""
    up.wait_until(lambda: any("envoy" in line for line in list_processes()), "started no sidecar", TIMEOUT_S)


def wait_for_readiness(up: ManagedProcess) -> None:
    """Return when all is up."""
    up.wait_for_output("^ready", TIMEOUT_S)


MOMENTS = {"network": wait_for_namespaces, "processes": wait_for_processes, "ready": wait_for_readiness}


@pytest.fixture
def before() -> Machine:
    """The machine's state before the test."""
    return read_machine()


@pytest.fixture
def up(tmp_path: Path, before: Machine) -> Iterator[ManagedProcess]:
    """A running `python -m testbed up`; whatever the test does to it, nothing stays."""
    del before
    with run_in(
        None, [*PROGRAM, "up", "--work-dir", str(tmp_path / "mesh")], log_path=tmp_path / "up.log"
    ) as process:
        yield process
    run(*PROGRAM, "down")


def test_stop_leaves_nothing(tmp_path: Path, before: Machine) -> None:
    """A mesh that stops in order leaves nothing, and every process of it ended well."""
    with running_mesh(tmp_path) as mesh:
        assert set(list_namespaces(NAMESPACE_PREFIX)) > {pod.namespace for pod in PODS}
    assert read_machine() == before
    assert {process.name: process.stop() for process in mesh.processes} == dict.fromkeys(
        (process.name for process in mesh.processes), 0
    )


def test_interrupt_leaves_nothing(tmp_path: Path, before: Machine) -> None:
    """A Ctrl-C inside the block leaves nothing and is not swallowed."""
    with pytest.raises(KeyboardInterrupt), running_mesh(tmp_path):
        signal.raise_signal(signal.SIGINT)
    assert read_machine() == before


def test_foreign_process_in_a_node_is_killed(tmp_path: Path, before: Machine) -> None:
    """A process that somebody left inside a node goes with it."""
    with network.two_nodes():
        stranger = run_in(NODE_1.namespace, ["tail", "-v", "-f", "/dev/null"], log_path=tmp_path / "stranger.log")
        stranger.wait_for_output("/dev/null", TIMEOUT_S)
    assert stranger.wait_or_kill(TIMEOUT_S) == -signal.SIGKILL
    assert read_machine() == before


def test_failed_start_names_what_was_not_ready(tmp_path: Path, before: Machine) -> None:
    """A sidecar that cannot start is named with the tail of its log, and nothing stays."""
    with (
        pytest.raises(TestbedError, match=r"frontend-sidecar exited with 1 (.|\n)*65535"),
        running_mesh(tmp_path, "198.18.0.1:99999"),
    ):
        pass
    assert read_machine() == before


def test_second_run_is_refused() -> None:
    """A second run does not touch the first, and names its process."""
    with network.two_nodes():
        down = subprocess.run([*PROGRAM, "down"], check=False, capture_output=True, text=True)
        assert NODE_1.namespace in list_namespaces(NAMESPACE_PREFIX)
    assert down.returncode == 1
    assert "in use by process" in down.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_signal_ends_up_in_order(up: ManagedProcess, before: Machine, moment: str, number: signal.Signals) -> None:
    """The command `up` ends on a signal, whenever it comes, and leaves nothing."""
    MOMENTS[moment](up)
    up.send_signal(number)
    assert up.wait_or_kill(TIMEOUT_S) == 130
    assert read_machine() == before


@pytest.mark.parametrize("moment", MOMENTS)
def test_down_removes_what_a_killed_run_left(up: ManagedProcess, before: Machine, moment: str) -> None:
    """Killed half-way or later, `up` takes its processes with it, and `down` removes the rest."""
    MOMENTS[moment](up)
    up.send_signal(signal.SIGKILL)
    up.wait_or_kill(TIMEOUT_S)
    assert list_namespaces(NAMESPACE_PREFIX)
    wait_until(lambda: list_processes() == before.processes, "the processes did not die with their parent", TIMEOUT_S)
    run(*PROGRAM, "down")
    assert read_machine() == before


def test_start_removes_what_a_killed_run_left(up: ManagedProcess, before: Machine) -> None:
    """A new run needs no `down` after a killed one."""
    up.wait_for_output("^ready", TIMEOUT_S)
    up.send_signal(signal.SIGKILL)
    up.wait_or_kill(TIMEOUT_S)
    with network.two_nodes():
        assert len(list_namespaces(NAMESPACE_PREFIX)) == 5
    assert read_machine() == before
