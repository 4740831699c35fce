"""`node-probe top` for real: programs of its own, traffic between two pods, and nothing left when it ends."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from node_probe.capabilities import Capability
from tests.compiled.sharing import find_modules_in
from tests.house.repository import ROOT
from tests.kernel.made_node import DEADLINE_S, run, wait_until
from tests.kernel.piped_top import EXCHANGES, Piped, command, read_counts
from tests.kernel.rights import as_nobody_with, as_root_with, readable_tree
from tests.kernel.talking_node import CLIENT, POINTS, SERVER, TalkingNode
from tests.kernel.terminal import ENTER_SCREEN, LEAVE_SCREEN, Terminal
from tests.kernel.without_tcx import WRAPPER

pytestmark = pytest.mark.bpf

RIGHTS = {
    Capability.BPF,
    Capability.NET_ADMIN,
    Capability.PERFMON,
    Capability.SYS_ADMIN,
    Capability.SYS_PTRACE,
}
"""Those in the README's table."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_snapshot_counts_what_was_sent(talking_node: TalkingNode, number: int) -> None:
    """Each message passes one host and two veths; a signal before the interval's end ends it in order, and early."""
    top = Piped(talking_node, "--once", "--json", "--interval", "3600")
    with talking_node.connection() as connection:
        connection.exchange(EXCHANGES)
    code, output, errors = top.end(number)
    assert (code, errors) == (0, "")
    found = json.loads(output)
    assert (found["transits"], found["points"], found["lost"]) == (2 * EXCHANGES, POINTS, {})
    expected = {"host-forward": EXCHANGES, "veth-hop": 2 * EXCHANGES}
    counts = {(way, hop): count for way in ("request", "response") for hop, count in expected.items()}
    assert read_counts(found["rows"]) == counts
    assert set(read_counts(found["rows"], "attempts").values()) == {0}
    assert {(row["client"], row["server"]) for row in found["rows"]} == {(CLIENT, SERVER)}
    for row in found["rows"]:
        assert 0 < row["p50_ns"] <= row["p99_ns"] <= row["max_ns"] < 10**9
    assert talking_node.attached() == 0


def test_retransmission_is_a_further_attempt(talking_node: TalkingNode) -> None:
    """A request that the bridge drops is sent again by TCP: the sender's veth sees each, the receiver's the last."""
    top = Piped(talking_node, "--once", "--json", "--interval", "3600")
    port = ("ip", "-n", talking_node.node, "link", "set", "veth1")
    with talking_node.connection() as connection:
        connection.exchange()
        run(*port, "nomaster")
        connection.send_request()
        wait_until(lambda: count_sent_again(talking_node) > 0, "a retransmission")
        run(*port, "master", "br0")
        connection.answer()
    code, output, _ = top.end(signal.SIGTERM)
    assert code == 0
    rows = json.loads(output)["rows"]
    attempts = read_counts(rows, "attempts")
    assert attempts["request", "veth-hop"] >= 1
    assert attempts["response", "veth-hop"] == 0
    counts = read_counts(rows)
    assert counts["request", "host-forward"] == 2
    assert counts["response", "host-forward"] == 2


def count_sent_again(node: TalkingNode) -> int:
    found = re.search(r"retrans:\d+/(\d+)", run("ip", "netns", "exec", node.pod, "ss", "-tinH", "dst", SERVER))
    return int(found[1]) if found else 0


def test_snapshot_ends_by_itself(talking_node: TalkingNode) -> None:
    """After its interval, as plain lines, where nobody talked."""
    ended = subprocess.run(
        command(talking_node, "--once", "--interval", "0.2"), capture_output=True, text=True, check=True, cwd=ROOT
    )
    state, heads = ended.stdout.splitlines()
    assert re.fullmatch(rf"{POINTS} points by \w+   0\.\d s   0 transits   by p99", state)
    assert heads.split()[0] == "count"
    assert ended.stderr == ""


def test_lines_of_json_until_the_reader_has_enough(talking_node: TalkingNode) -> None:
    """Without `--once` a line each interval; a closed pipe ends it without a word, and nothing stays."""
    top = Piped(talking_node, "--json", "--interval", "0.1")
    assert top.process.stdout is not None
    for _ in range(2):
        assert json.loads(top.process.stdout.readline())["points"] == POINTS
    top.process.stdout.close()
    assert top.process.wait(DEADLINE_S) == 0
    assert top.process.stderr is not None
    assert top.process.stderr.read() == ""
    top.process.stderr.close()
    assert talking_node.attached() == 0


def test_nothing_stays_by_clsact(talking_node: TalkingNode) -> None:
    """Below kernel 6.6 there are filters while it runs, and neither a filter nor a qdisc afterwards."""
    before = talking_node.filters()
    options = ("--json", "--interval", "0.1")
    top = subprocess.Popen(
        command(talking_node, *options, wrapper=WRAPPER), stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert top.stdout is not None
    first = json.loads(top.stdout.readline())
    assert (first["mechanism"], first["points"]) == ("clsact", POINTS)
    assert talking_node.filters() != before
    top.send_signal(signal.SIGTERM)
    top.communicate(timeout=DEADLINE_S)
    assert top.returncode == 0
    assert talking_node.filters() == before


def test_runs_as_nobody_with_the_rights_of_the_probe(talking_node: TalkingNode) -> None:
    """As an ordinary user with exactly the capabilities that the README names, pod points included."""
    with readable_tree() as tree:
        ended = subprocess.run(
            command(talking_node, "--once", "--json", "--interval", "0.2", wrapper=as_nobody_with(RIGHTS), tree=tree),
            capture_output=True,
            text=True,
            check=False,
            cwd=tree,
            env=os.environ | find_modules_in(tree),
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["points"] == POINTS


def test_lacking_rights_are_named(talking_node: TalkingNode) -> None:
    """One line on standard error, and exit code 1."""
    wrapper = as_root_with({Capability.NET_ADMIN})
    ended = subprocess.run(
        command(talking_node, wrapper=wrapper), capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"node-probe top: .*CAP_BPF.*\n", ended.stderr)


@pytest.fixture
def terminal(talking_node: TalkingNode) -> Iterator[Terminal]:
    made = Terminal(command(talking_node, "--interval", "0.2"), os.environ | find_modules_in(ROOT))
    yield made
    made.close()


@pytest.mark.parametrize("keys", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_live_table_is_drawn_and_ends(talking_node: TalkingNode, terminal: Terminal, keys: bytes) -> None:
    """Rows appear as pods talk, keys are obeyed; at the end the terminal is as before, and nothing is attached."""
    terminal.wait_for("no traced packet yet")
    assert talking_node.attached() == POINTS
    with talking_node.connection() as connection:
        connection.exchange(EXCHANGES)
    screen = terminal.wait_for(rf"{2 * EXCHANGES} transits")
    assert re.search(
        rf"^ +{EXCHANGES}( +\d+\.\d){{3}} +0  host-forward  {CLIENT}  →  {SERVER} *$", screen, re.MULTILINE
    )
    assert len(re.findall(rf"{CLIENT}  [→←]  {SERVER}", screen)) == 4
    terminal.press(b"s")
    terminal.wait_for("by p50")
    terminal.press(b"c")
    terminal.wait_for(" 0 transits")
    terminal.press(keys)
    assert terminal.end() == 0
    assert terminal.modes == terminal.before
    assert terminal.text.count(ENTER_SCREEN) == terminal.text.count(LEAVE_SCREEN) == 1
    assert terminal.text.endswith(LEAVE_SCREEN)
    assert talking_node.attached() == 0


def test_interrupt_while_the_programs_are_compiled(talking_node: TalkingNode, terminal: Terminal) -> None:
    """Ctrl-C before anything is attached ends it too, without a word, and the terminal is as before."""
    wait_until(lambda: has_child(terminal.process.pid), "the compiling child")
    terminal.press(b"\x03")
    assert terminal.end() == 0
    assert terminal.text.count("\n") <= 1, terminal.text
    assert terminal.modes == terminal.before
    assert talking_node.attached() == 0


def has_child(pid: int) -> bool:
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 - it is no file that a path helps with
        return bool(file.read())
