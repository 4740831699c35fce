"""Managed processes are waited for by what they print, and never outlive us."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.deadline import wait_until
from testbed.errors import TestbedError
from testbed.process import run_in, stop_all

TIMEOUT_S = 60.0
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
PARENT = """
import sys
from pathlib import Path
from testbed.process import run_in
child = run_in(None, ["sleep", "1000"], log_path=Path(sys.argv[1]))
print(child.pid, flush=True)
sys.stdin.read()
"""


def has_ended(pid: int) -> bool:
    """Tell whether a process has gone or is a zombie that nobody has taken yet."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_output_is_waited_for(tmp_path: Path) -> None:
    """The wait ends with the match once the process has printed it."""
    with run_in(
        None, ["sh", "-c", "echo listening on port 4711; sleep 1000"], log_path=tmp_path / "a.log"
    ) as process:
        assert process.wait_for_output(r"port (\d+)$", TIMEOUT_S)[1] == "4711"


def test_last_words_count(tmp_path: Path) -> None:
    """Output right before the end is found, though the process is no more."""
    with run_in(None, ["echo", "done"], log_path=tmp_path / "a.log") as process:
        process.wait_for_output("done", TIMEOUT_S)
        process.wait_for_output("done", TIMEOUT_S)


def test_death_is_told_with_the_tail_of_the_log(tmp_path: Path) -> None:
    """A process that ends instead of becoming ready is named with its exit code and last words."""
    command = ["sh", "-c", "echo no such device; exit 3"]
    with (
        run_in(None, command, log_path=tmp_path / "probe.log") as process,
        pytest.raises(TestbedError, match=r"probe exited with 3 and did not print 'ready'(.|\n)*no such device"),
    ):
        process.wait_for_output("ready", TIMEOUT_S)


def test_deadline_is_kept(tmp_path: Path) -> None:
    """A process that runs but never becomes ready is named at the deadline."""
    with (
        run_in(None, ["sleep", "1000"], log_path=tmp_path / "probe.log") as process,
        pytest.raises(TestbedError, match=r"probe did not print 'ready' within 0.1 s"),
    ):
        process.wait_for_output("ready", 0.1)


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after the timeout."""
    process = run_in(None, [sys.executable, "-c", DEAF], log_path=tmp_path / "a.log")
    process.wait_for_output("ready", TIMEOUT_S)
    assert process.stop(0.1) == -signal.SIGKILL


def test_stop_takes_descendants_along(tmp_path: Path) -> None:
    """What a process has started and left behind ends with it."""
    process = run_in(None, ["sh", "-c", "sleep 1000 & echo $!; wait"], log_path=tmp_path / "a.log")
    descendant = int(process.wait_for_output(r"^\d+$", TIMEOUT_S)[0])
    stop_all([process])
    wait_until(lambda: has_ended(descendant), "the descendant did not end", TIMEOUT_S)


def test_child_dies_with_its_parent(tmp_path: Path) -> None:
    """A killed parent takes its managed processes along."""
    command = [sys.executable, "-c", PARENT, str(tmp_path / "a.log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert not has_ended(child)
        parent.kill()
    wait_until(lambda: has_ended(child), "the child did not die", TIMEOUT_S)


def test_unknown_command_is_an_error(tmp_path: Path) -> None:
    """A command that does not exist ends the process at once, and its log says so."""
    with (
        run_in(None, ["no-such-command"], log_path=tmp_path / "a.log") as process,
        pytest.raises(TestbedError, match="no-such-command"),
    ):
        process.wait_for_output("ready", TIMEOUT_S)


def test_environment_is_added_to_ours(tmp_path: Path) -> None:
    """The process sees our environment and the given additions."""
    command = ["sh", "-c", 'echo "$PATH and $NODE_NAME"']
    with run_in(None, command, log_path=tmp_path / "a.log", environment={"NODE_NAME": "node-1"}) as process:
        assert process.wait_for_output(".* and .*", TIMEOUT_S)[0] == f"{os.environ['PATH']} and node-1"
