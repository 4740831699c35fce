"""One node with as many pods as wanted, each a namespace with a veth on the node's bridge, and their talk in pairs.

No overlay and no services: what is here is to be counted, not to be crossed. Leaves nothing behind.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address

from testbed.command import run_ip_batch
from testbed.deadline import wait_until
from testbed.interrupt import hold_interrupts
from testbed.lock import take_lock
from testbed.namespace import call_in, open_socket
from testbed.network import remove_network
from testbed.topology import BRIDGE_DEVICE, NAMESPACE_PREFIX, NODE_1, POD_DEVICE

NODE_NAMESPACE = NODE_1.namespace
MAX_POD_COUNT = 240
"""The node's pod CIDR is a /24; a kubelet has 110 pods by default."""

POINTS_PER_POD = 4
"""Both directions of the pod's device and of its host end."""

_FIRST_HOST = 10
_PORT = 8080
_TALK_TIMEOUT_S = 5.0
_REMOVAL_TIMEOUT_S = 60.0
"""The kernel ends namespaces one after the other, some tens of milliseconds each."""

_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Crowd:
    """The node's pods."""

    def __init__(self) -> None:
        self.count = 0

    def resize(self, count: int) -> None:
        """Add pods, or remove those that came last; all are up then, or gone. Raises TestbedError."""
        if count > self.count:
            self._add(range(self.count, count))
        elif count < self.count:
            self._remove(range(count, self.count))
        self.count = count

    def _add(self, numbers: range) -> None:
        lines = [f"netns add {_name(number)}" for number in numbers]
        lines += [
            f"link add {_host_end(number)} netns {NODE_NAMESPACE} type veth "
            f"peer name {POD_DEVICE} netns {_name(number)}"
            for number in numbers
        ]
        run_ip_batch(lines)
        run_ip_batch(
            [
                line
                for number in numbers
                for line in (
                    f"link set {_host_end(number)} addrgenmode none",  # no neighbour discovery amid the talk
                    f"link set {_host_end(number)} master {BRIDGE_DEVICE} up",
                )
            ],
            NODE_NAMESPACE,
        )
        for number in numbers:
            lines = [
                "link set lo up",
                f"link set {POD_DEVICE} addrgenmode none",
                f"addr add {_address(number)}/{NODE_1.pod_network.prefixlen} dev {POD_DEVICE}",
                f"link set {POD_DEVICE} up",
            ]
            run_ip_batch(lines, _name(number))

    def _remove(self, numbers: range) -> None:
        run_ip_batch([f"netns del {_name(number)}" for number in numbers])
        gone = {_host_end(number) for number in numbers}

        def are_gone() -> bool:
            left = call_in(NODE_NAMESPACE, socket.if_nameindex)
            return not gone & {name for _, name in left}

        wait_until(are_gone, "pods that were removed have devices", _REMOVAL_TIMEOUT_S)


@contextmanager
def crowded_node() -> Iterator[Crowd]:
    """Hold a node without pods. Raises TestbedError."""
    with take_lock():
        remove_network()
        try:
            run_ip_batch([f"netns add {NODE_NAMESPACE}"])
            bridge = [f"link add {BRIDGE_DEVICE} type bridge", f"link set {BRIDGE_DEVICE} addrgenmode none up"]
            run_ip_batch(["link set lo up", *bridge], NODE_NAMESPACE)
            yield Crowd()
        finally:
            with hold_interrupts():
                remove_network()


class Talk:
    """A connection of each pod with an even number to the next one, which take turns."""

    def __init__(self, ends: list[tuple[socket.socket, socket.socket]]) -> None:
        self._ends = ends
        self._exchanges = 0

    def exchange(self) -> None:
        """Send a traced request over the next connection, and its response. Raises OSError."""
        client, server = self._ends[self._exchanges % len(self._ends)]
        self._exchanges += 1
        # Acknowledge at once, whether the next request comes in 4 ms or in 400: else the number of packets would
        # depend on the number of connections. The kernel forgets it.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        trace_id, span_id = f"{self._exchanges:032x}", f"{self._exchanges:016x}"
        context = f"traceparent: 00-{trace_id}-{span_id}-01"
        client.sendall(f"GET /cart HTTP/1.1\r\nHost: cart\r\n{context}\r\n\r\n".encode())
        _read_until(server, b"\r\n\r\n")
        server.sendall(_RESPONSE)
        _read_until(client, _RESPONSE[-2:])


@contextmanager
def talking_pairs(count: int) -> Iterator[Talk]:
    """Hold the connections of so many pods. Raises OSError."""
    with ExitStack() as stack:
        ends = []
        for number in range(0, count - 1, 2):
            listener = stack.enter_context(open_socket(_name(number + 1)))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(_address(number + 1)), _PORT))
            listener.listen()
            client = stack.enter_context(open_socket(_name(number)))
            client.settimeout(_TALK_TIMEOUT_S)
            client.connect((str(_address(number + 1)), _PORT))
            server = stack.enter_context(listener.accept()[0])
            server.settimeout(_TALK_TIMEOUT_S)
            ends.append((client, server))
        yield Talk(ends)


def _read_until(end: socket.socket, last: bytes) -> None:
    data = b""
    while not data.endswith(last):
        part = end.recv(4096)
        if not part:
            raise ConnectionError("a pod has closed the connection")
        data += part


def _name(number: int) -> str:
    return f"{NAMESPACE_PREFIX}crowd-{number}"


def _host_end(number: int) -> str:
    return f"veth{number}"


def _address(number: int) -> IPv4Address:
    return NODE_1.pod_network[_FIRST_HOST + number]
