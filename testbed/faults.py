"""Puts faults into the network of two nodes, where a user would have them; each ends with its block."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from testbed.client import ANNOUNCEMENT
from testbed.command import run_command, run_in_namespace
from testbed.neighbour import DISCARD_PORT, LINK_RATE, READY, START_TIMEOUT_S
from testbed.process import run_in
from testbed.topology import CART, CART_SERVICE, NODE_1, NODE_2, UNDERLAY_DEVICE, Node

BUSY_RULES = 5000
"""What each packet that arrives passes on a busy core: some 80 us, so that a queue of such packets takes 1 ms."""

_FIRST_PORT = 10_000
"""No rule may match: clients' ports are from 32,768 on (ip_local_port_range), servers' here below 10,000."""

_BUSY_CHAIN = "BUSY"
_SECOND_CORE = 1 << 1
_FROM_OUTSIDE = ("taskset", "-c", "0", "nice", "-n", "-20")
"""Who sends from another machine does not wait for processes of this one, nor is its packet received, on the same
core, before the next is sent: then no queue would form."""


@contextmanager
def ruled(namespace: str, table: str, chain: str, *rule: str) -> Iterator[None]:
    """Hold a rule of iptables at the head of its chain."""
    run_in_namespace(namespace, ["iptables", "-w", "-t", table, "-I", chain, *rule])
    try:
        yield
    finally:
        run_in_namespace(namespace, ["iptables", "-w", "-t", table, "-D", chain, *rule])


@contextmanager
def many_rules(node: Node, count: int) -> Iterator[None]:
    """Let every packet that is forwarded pass rules that it does not match. The chain must have had none."""
    ports = range(_FIRST_PORT, _FIRST_PORT + count)
    rules = "".join(f"-A FORWARD -p tcp --dport {port} -j ACCEPT\n" for port in ports)
    _restore_rules(node, "filter", "FORWARD ACCEPT", rules)
    try:
        yield
    finally:
        run_in_namespace(node.namespace, ["iptables", "-w", "-F", "FORWARD"])


@contextmanager
def filled_queue(node: Node, device: str, address: object, work_dir: Path) -> Iterator[None]:
    """Give a device a rate, and have a neighbour send more to an address behind it than passes at once."""
    shape = ["tbf", "rate", LINK_RATE, "burst", "3000", "latency", "50ms"]
    run_command(["tc", "-n", node.namespace, "qdisc", "replace", "dev", device, "root", *shape])
    try:
        with _running_neighbour(node, address, work_dir):
            yield
    finally:
        run_command(["tc", "-n", node.namespace, "qdisc", "del", "dev", device, "root"])


@contextmanager
def losing_requests() -> Iterator[None]:
    """Lose every other request to cart on node-1: each once, since it is sent again next."""
    every_other = ("-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0")
    request = ("-p", "tcp", "-d", str(CART.address), "-m", "string", "--algo", "bm", "--string", "GET /cart ")
    with ruled(NODE_1.namespace, "mangle", "FORWARD", *request, *every_other, "-j", "DROP"):
        yield


@contextmanager
def busy_core(work_dir: Path) -> Iterator[None]:
    """Let one core do all that node-2 receives, and a neighbour on node-1 keep it busy with packets that cost much.

    Receive packet steering gives the packets to that core, as the one queue of a simple NIC would.
    """
    with ExitStack() as stack:
        stack.enter_context(_costly_discards(NODE_2))
        _steer_packets(NODE_2, _SECOND_CORE)
        stack.callback(_steer_packets, NODE_2, 0)
        stack.enter_context(_running_neighbour(NODE_1, NODE_2.underlay_address, work_dir, _FROM_OUTSIDE))
        yield


@contextmanager
def crowded_service(work_dir: Path, askers: int, baggage: str) -> Iterator[None]:
    """Let others ask cart all the time, from its own node and without a trace: its sidecar's queue is never empty."""
    untraced = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    url = f"{CART.url}/{CART_SERVICE.name}"
    command = [sys.executable, "-m", "testbed.client", "1000000", "--url", url, "--announce"]
    command += ["--header", untraced, "--header", f"baggage: {baggage}"]
    with ExitStack() as stack:
        others = [
            stack.enter_context(run_in(NODE_2.namespace, command, log_path=work_dir / f"asker-{number}.log"))
            for number in range(askers)
        ]
        for other in others:
            other.wait_for_output(ANNOUNCEMENT, START_TIMEOUT_S)
        yield
        for other in others:
            other.check_alive()


def _steer_packets(node: Node, cores: int) -> None:
    """Give what the underlay device receives, on whichever of its queues, to the cores of the bitmap; 0: to any."""
    queues = f"/sys/class/net/{UNDERLAY_DEVICE}/queues/rx-*/rps_cpus"
    run_in_namespace(node.namespace, ["sh", "-c", f"for queue in {queues}; do echo {cores} > $queue; done"])


@contextmanager
def _costly_discards(node: Node) -> Iterator[None]:
    """Let the neighbour's packets alone pass rules that they do not match."""
    ports = range(_FIRST_PORT, _FIRST_PORT + BUSY_RULES)
    rules = "".join(f"-A {_BUSY_CHAIN} -p udp --sport {port} -j ACCEPT\n" for port in ports)
    jump = ["-i", UNDERLAY_DEVICE, "-p", "udp", "--dport", str(DISCARD_PORT), "-j", _BUSY_CHAIN]
    _restore_rules(node, "raw", f"{_BUSY_CHAIN} -", rules)
    try:
        with ruled(node.namespace, "raw", "PREROUTING", *jump):
            yield
    finally:
        for action in ("-F", "-X"):
            run_in_namespace(node.namespace, ["iptables", "-w", "-t", "raw", action, _BUSY_CHAIN])


@contextmanager
def _running_neighbour(node: Node, address: object, work_dir: Path, prefix: tuple[str, ...] = ()) -> Iterator[None]:
    command = [*prefix, sys.executable, "-m", "testbed.neighbour", str(address)]
    with run_in(node.namespace, command, log_path=work_dir / "neighbour.log") as neighbour:
        neighbour.wait_for_output(READY, START_TIMEOUT_S)
        yield
        neighbour.check_alive()


def _restore_rules(node: Node, table: str, chain: str, rules: str) -> None:
    text = f"*{table}\n:{chain}\n{rules}COMMIT\n"
    run_in_namespace(node.namespace, ["iptables-restore", "-w", "--noflush"], text)
