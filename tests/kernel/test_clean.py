"""Only what is ours is ever removed, and all of it: by the guardian's way and by `node-probe clean`.

By clsact on kernels with tcx too: filters of a program that does nothing are added as the agent would add its own.
"""

import errno
import os
import random
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_probe.__main__ import main
from node_probe.bpf import load_idle_program
from node_probe.devices import Side
from node_probe.filters import Owner, filter_prefix
from node_probe.guardian import remove_filters
from node_probe.namespaces import entered
from node_probe.netlink import Netlink
from node_probe.owners import read_own_identity, read_pid_namespace
from tests.house.repository import ROOT
from tests.kernel.foreign import PRIORITIES, SIDES, make_filter, make_foreign, read_devices, run_tc, seed_chance
from tests.kernel.made_node import DEADLINE_S, run
from tests.requirements import require_root
from tests.soak import scale

pytestmark = pytest.mark.bpf

ROUNDS = scale(30)
DEVICES = ("v0", "v1", "v2", "v3")
AWAY_FROM_OURS = [priority for priority in PRIORITIES if not 10 <= priority < 30]


@pytest.fixture
def namespace() -> Iterator[str]:
    """Make a namespace with four devices."""
    require_root()
    name = f"hstest-{secrets.token_hex(3)}-c"
    run("ip", "netns", "add", name)
    make_devices(name)
    yield name
    run("ip", "netns", "del", name)


def make_devices(namespace: str) -> None:
    """Replace the devices by new ones, which have nothing on them."""
    lines = ["link del v0", "link del v2", "link add v0 type veth peer name v1", "link add v2 type veth peer name v3"]
    command = ["ip", "-n", namespace, "-force", "-batch", "-"]
    subprocess.run(command, input="\n".join(lines), text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def dead() -> Owner:
    """Return an agent that has died."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(DEADLINE_S)
    return Owner(child.pid, read_pid_namespace())


def add_filter(namespace: str, device: str, side: Side, owner: Owner, *, keep: bool = False) -> int:
    """Add a filter of an agent's as Attacher would; return its program's fd, or -1 where nobody keeps the program."""
    program = load_idle_program()
    try:
        with entered(Path("/run/netns") / namespace), Netlink() as netlink:
            netlink.add_filter(socket.if_nametoindex(device), side, program, filter_prefix(owner) + "veth_ingress")
    finally:
        if not keep:
            os.close(program)
    return program if keep else -1


def add_some(rng: random.Random, namespace: str, owner: Owner) -> int:
    """Add an agent's filters here and there; return how many. Where another's qdisc leaves no room, there is none."""
    added = 0
    for device in DEVICES:
        for side in Side:
            if rng.random() < 0.6:
                try:
                    add_filter(namespace, device, side, owner)
                except OSError as error:
                    if error.errno != errno.EOPNOTSUPP:
                        raise
                else:
                    added += 1
    return added


def clean(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run the command, and return the lines it printed."""
    assert main(["clean"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out.splitlines()


def test_random_foreign_state_stays(namespace: str, dead: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever others have, and add while ours are there, is the same after ours are gone."""
    here = f"in /run/netns/{namespace}"
    total = 0
    for seed in range(ROUNDS):
        rng = seed_chance(seed)
        make_devices(namespace)
        run_tc(namespace, *(line for device in DEVICES for line in make_foreign(rng, device)))
        before = read_devices(namespace, DEVICES)
        added = add_some(rng, namespace, dead)
        # An ingress qdisc shows its filters on both sides.
        assert read_devices(namespace, DEVICES).count(filter_prefix(dead)) >= added, seed
        total += added
        if rng.random() < 0.5:
            remove_filters(filter_prefix(dead))
        else:
            assert sum(line.endswith(here) for line in clean(capsys) if line.startswith("removed hop")) == added, seed
        assert read_devices(namespace, DEVICES) == before, seed
    assert total > ROUNDS


def test_what_came_later_stays(namespace: str, dead: Owner) -> None:
    """What others add to a device where ours are already is the same after ours are gone."""
    for seed in range(ROUNDS // 3):
        rng = seed_chance(seed)
        make_devices(namespace)
        run_tc(namespace, *(f"qdisc add dev {device} clsact" for device in DEVICES))
        twin = DEVICES[2:]
        for device in DEVICES[:2]:
            for side in Side:
                add_filter(namespace, device, side, dead)
        for ours, other in zip(DEVICES[:2], twin, strict=True):
            for _ in range(4):
                line = make_filter(rng, ours, rng.choice(SIDES), AWAY_FROM_OURS)
                run_tc(namespace, line, line.replace(ours, other))
        remove_filters(filter_prefix(dead))
        assert read_filters(namespace, DEVICES[:2]) == read_filters(namespace, twin), seed


def read_filters(namespace: str, devices: tuple[str, ...]) -> list[str]:
    """Return filters and chains; a device's chains are listed in the order in which they were first used."""
    lines = run_tc(
        namespace, *(f"{what} show dev {d} {s}" for d in devices for what in ("filter", "chain") for s in SIDES)
    )
    return sorted(lines.splitlines())


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        ("", False),
        ("filter add dev v0 egress prio 1 protocol ip bpf bytecode '1,6 0 0 0,' flowid 1:1", True),
        ("filter add dev v0 ingress chain 5 prio 10 protocol all u32 match u32 0 0 flowid 1:1", True),
        ("chain add dev v0 egress chain 7", True),
    ],
    ids=["nothing", "filter", "filter in a chain", "empty chain"],
)
def test_our_qdisc_goes_unless_others_use_it(namespace: str, dead: Owner, line: str, *, is_kept: bool) -> None:
    """A clsact that we made goes with our last filter, but not under somebody who has come to use it."""
    add_filter(namespace, "v0", Side.INGRESS, dead)
    add_filter(namespace, "v0", Side.EGRESS, dead)
    if line:
        run_tc(namespace, line)
    remove_filters(filter_prefix(dead))
    told = read_devices(namespace, ["v0"])
    assert "hopspan" not in told
    assert ("clsact" in told) == is_kept
    assert line == "" or told.count("chain") >= 1


def test_mark_passes_on(namespace: str, dead: Owner) -> None:
    """An agent that comes before the last one's filters are gone takes the clsact over, and it goes with the last."""
    second = Owner(dead.pid, 1)
    add_filter(namespace, "v0", Side.INGRESS, dead)
    add_filter(namespace, "v0", Side.INGRESS, second)
    remove_filters(filter_prefix(dead))
    assert "clsact" in read_devices(namespace, ["v0"])
    remove_filters(filter_prefix(second))
    assert read_devices(namespace, ["v0"]).strip() == ""


def test_living_agent_keeps_its_filters(namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What an agent has is left alone as long as it lives, and removed once it is dead."""
    program = add_filter(namespace, "v0", Side.INGRESS, read_own_identity(), keep=True)
    told = read_devices(namespace, ["v0"])
    try:
        assert not any(namespace in line for line in clean(capsys))
        assert read_devices(namespace, ["v0"]) == told
    finally:
        os.close(program)
    # This process lives on, as one that got a dead agent's id would: what counts is who holds the program.
    assert any(line.startswith("removed hopspan-") and namespace in line for line in clean(capsys))
    assert read_devices(namespace, ["v0"]).strip() == ""


CONTAINED_AGENT = """
import sys
from node_probe.devices import Side
from node_probe.owners import read_own_identity
from tests.kernel.test_clean import add_filter
add_filter(sys.argv[1], "v0", Side.INGRESS, read_own_identity(), keep=True)
print("ready", flush=True)
sys.stdin.read()
"""


def test_agent_in_a_container(namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent whose process id is counted in another PID namespace is known to live, and to be dead."""
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", CONTAINED_AGENT, namespace]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert agent.stdin is not None
        assert agent.stdout.readline() == "ready\n"
        assert not any(namespace in line for line in clean(capsys))
        assert "hopspan-1-" in read_devices(namespace, ["v0"])
        agent.stdin.close()
        agent.wait(DEADLINE_S)
    assert any(line.startswith("removed hopspan-1-") for line in clean(capsys))
    assert read_devices(namespace, ["v0"]).strip() == ""


def test_clean_in_a_container_leaves_what_it_cannot_judge(namespace: str, dead: Owner) -> None:
    """From within another PID namespace nobody knows whether an agent outside lives, so its filters stay."""
    add_filter(namespace, "v0", Side.INGRESS, dead)
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "node_probe", "clean"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert any(
        line.startswith(f"left {filter_prefix(dead)}") and "another PID namespace" in line
        for line in done.stdout.splitlines()
    )
    assert filter_prefix(dead) in read_devices(namespace, ["v0"])
    remove_filters(filter_prefix(dead))


def test_shared_block_is_an_error_of_its_device(namespace: str, dead: Owner) -> None:
    """Where others share a block of filters, ours are refused with a reason, and nothing has changed."""
    run_tc(namespace, "qdisc add dev v0 ingress_block 22 clsact")
    before = read_devices(namespace, ["v0"])
    with pytest.raises(OSError, match="netlink: Operation not supported"):
        add_filter(namespace, "v0", Side.INGRESS, dead)
    assert read_devices(namespace, ["v0"]) == before
