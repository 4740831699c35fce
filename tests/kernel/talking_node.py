"""A made-up node with two pods that talk HTTP/1.1 with each other: real bytes over real sockets, sent by the test."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from node_probe.bpf import TCX_EGRESS, TCX_INGRESS
from node_probe.namespaces import entered
from tests.kernel.made_node import DEADLINE_S, Node, count_attached, run

CLIENT, SERVER = "10.244.7.2", "10.244.7.3"
PORT = 8080

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

POINTS = 8
"""Programs that a probe attaches to it: each pod's device and its host end, in both directions."""


class TalkingNode(Node):
    """The node's one pod is the client; a second is the server."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.server = f"hstest-{tag}-s"
        run("ip", "netns", "add", self.server)
        in_node = ("ip", "-n", self.node)
        run(*in_node, "link", "add", "veth1", "type", "veth", "peer", "name", "eth0", "netns", self.server)
        run(*in_node, "link", "set", "veth1", "master", "br0", "up")
        for name, address in ((self.pod, CLIENT), (self.server, SERVER)):
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0", "nodad")
            run("ip", "-n", name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        super().remove()
        run("ip", "netns", "del", self.server)

    def attached(self) -> int:
        """Return how many programs the kernel runs by tcx on all four devices."""
        devices = [(self.node, "veth0"), (self.node, "veth1"), (self.pod, "eth0"), (self.server, "eth0")]
        total = 0
        for name, device in devices:
            with entered(Path("/run/netns") / name):
                ifindex = socket.if_nametoindex(device)
                total += sum(count_attached(ifindex, kind) for kind in (TCX_INGRESS, TCX_EGRESS))
        return total

    def connection(self) -> AbstractContextManager["Connection"]:
        """Give a TCP connection from the client to the server, both ends of it."""
        return connected(self.pod, self.server, SERVER)


class Connection:
    """Both ends of a TCP connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.trace_ids: list[str] = []
        """Of the requests sent."""

    def exchange(self, count: int = 1) -> None:
        """Send traced requests and their responses, one after the other."""
        for _ in range(count):
            self.send_request()
            self.answer()

    def send_request(self) -> None:
        self.trace_ids.append(secrets.token_hex(16))
        traceparent = f"00-{self.trace_ids[-1]}-{secrets.token_hex(8)}-01"
        self.client.sendall(f"GET /cart HTTP/1.1\r\nHost: cart\r\ntraceparent: {traceparent}\r\n\r\n".encode())

    def answer(self) -> None:
        """Take the request at the server, and the response at the client."""
        read_until(self.server, b"\r\n\r\n")
        self.server.sendall(RESPONSE)
        read_until(self.client, RESPONSE)


def read_until(end: socket.socket, last: bytes) -> None:
    data = b""
    while not data.endswith(last):
        part = end.recv(4096)
        assert part, data
        data += part


@contextmanager
def connected(pod: str, place: str, address: str) -> Iterator[Connection]:
    """Give a TCP connection from one namespace to an address of another, both ends of it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with entered(Path("/run/netns") / place):
        listener = socket.create_server((address, PORT), family=family)
    with entered(Path("/run/netns") / pod):
        client = socket.create_connection((address, PORT), timeout=DEADLINE_S)
    server, _ = listener.accept()
    server.settimeout(DEADLINE_S)
    with listener, client, server:
        yield Connection(client, server)
