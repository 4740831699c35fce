"""Speaks HTTP between two places of the testbed, both ends held by one thread: each byte is sent when a test says so.

Every message begins with a line that no other has, so that whoever sees a packet knows which message it begins.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count

from testbed.namespace import open_socket
from testbed.topology import CART, CART_SERVICE, FRONTEND, SIDECAR_INBOUND_PORT, Service

TIMEOUT_S = 60.0
LINE_END = b"\r\n"
_numbers = count()
SEEN = ""
"""The reason of a message that is to be measured."""


@dataclass(frozen=True)
class Message:
    """A message that a test sends, and what must become of it at a node's first point.

    `context` are the trace id (16 bytes) and the parent's id (8) that the message, or a response's request, carries.
    `reasons` name the counter by node, `reason` for all others; SEEN is a transit.
    """

    direction: str
    data: bytes
    context: tuple[bytes, bytes]
    reason: str = SEEN
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_line(self) -> bytes:
        return self.data.partition(LINE_END)[0] + LINE_END

    def reason_at(self, node: str) -> str:
        return self.reasons.get(node, self.reason)


def make_request(
    method: str = "GET",
    *,
    headers: tuple[str, ...] = (),
    body: bytes = b"",
    context: bool = True,
    reason: str = SEEN,
) -> Message:
    """Return a request, with a context of its own unless it is to have none."""
    trace_id, parent_id = os.urandom(16), os.urandom(8)
    lines = [f"{method} /{next(_numbers)} HTTP/1.1", "Host: cart", *headers]
    lines += [f"traceparent: 00-{trace_id.hex()}-{parent_id.hex()}-01"] if context else []
    lines += [f"Content-Length: {len(body)}"] if body else []
    return Message(
        "request",
        "\r\n".join([*lines, "", ""]).encode() + body,
        (trace_id, parent_id),
        reason,
    )


def make_response(
    request: Message,
    status: int = 200,
    *,
    headers: tuple[str, ...] = ("Content-Length: 2",),
    body: bytes = b"ok",
    reason: str = SEEN,
    reasons: Mapping[str, str] | None = None,
) -> Message:
    """Return a response to a request. Its reason phrase (RFC 9112 section 4: any text) is what no other has."""
    lines = [f"HTTP/1.1 {status} {next(_numbers)}", *headers, "", ""]
    return Message("response", "\r\n".join(lines).encode() + body, request.context, reason, reasons or {})


def make_interim(request: Message, status: int) -> Message:
    """Return an interim response (1xx), which is counted and not measured."""
    return make_response(request, status, headers=(), body=b"", reason="response_interim")


@dataclass(frozen=True)
class Route:
    """Who asks whom: namespaces of client and server, the address that is asked, and where the server listens."""

    client: str
    server: str
    listens_at: tuple[str, int]
    asked_at: tuple[str, int]

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.asked_at[0] else socket.AF_INET


def route_by_service(client: str = FRONTEND.namespace, service: Service = CART_SERVICE) -> Route:
    """Return the route from a pod to a service's ClusterIP."""
    listens_at = (str(service.pod.address), SIDECAR_INBOUND_PORT)
    return Route(client, service.pod.namespace, listens_at, (str(service.cluster_address), service.port))


def route_directly(client: str, server: str, address: object, port: int = SIDECAR_INBOUND_PORT) -> Route:
    """Return the route to a server by its own address."""
    return Route(client, server, (str(address), port), (str(address), port))


POD_TO_POD = route_directly(FRONTEND.namespace, CART.namespace, CART.address)


@dataclass
class Connection:
    """Both ends of a connection."""

    client: socket.socket
    server: socket.socket

    def send(self, *messages: Message) -> None:
        """Send messages of one direction in one write, and return once the other end has them whole."""
        self.write(*messages)
        self.read(*messages)

    def write(self, *messages: Message) -> None:
        """Send messages of one direction in one write, and do not wait."""
        sender, _ = self._ends(messages[0])
        sender.sendall(b"".join(message.data for message in messages))

    def read(self, *messages: Message) -> None:
        """Wait until the other end has the messages whole."""
        _, receiver = self._ends(messages[0])
        receive(receiver, b"".join(message.data for message in messages))

    def exchange(self, request: Message, *responses: Message) -> None:
        """Send a request, and then each response by itself."""
        self.send(request)
        for response in responses:
            self.send(response)

    def feed(self, direction: str, data: bytes) -> None:
        """Send bytes that begin no message, as one segment, and return once the other end has them."""
        sender, receiver = (self.client, self.server) if direction == "request" else (self.server, self.client)
        sender.sendall(data)
        receive(receiver, data)

    def abort(self) -> None:
        """End the connection by a reset, so that its port is free at once."""
        for end in (self.client, self.server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            end.close()

    def _ends(self, message: Message) -> tuple[socket.socket, socket.socket]:
        ends = (self.client, self.server)
        return ends if message.direction == "request" else (ends[1], ends[0])


def receive(end: socket.socket, expected: bytes) -> None:
    """Read exactly the expected bytes."""
    received = bytearray()
    while len(received) < len(expected):
        part = end.recv(len(expected) - len(received))
        assert part, "the connection was closed"
        received += part
    assert received == expected


@contextmanager
def listening(route: Route) -> Iterator[socket.socket]:
    """Hold the route's server."""
    with open_socket(route.server, route.family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(TIMEOUT_S)
        listener.bind(route.listens_at)
        listener.listen(256)
        yield listener


def open_end(route: Route) -> socket.socket:
    """Return a client's socket that is not connected."""
    end = open_socket(route.client, route.family)
    end.settimeout(TIMEOUT_S)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return end


def connect(route: Route, listener: socket.socket, port: int = 0) -> Connection:
    """Return a new connection on the route, from a client's port if one is given."""
    client = open_end(route)
    if port:
        client.bind(("", port))
    client.connect(route.asked_at)
    server, _ = listener.accept()
    server.settimeout(TIMEOUT_S)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(client, server)


@contextmanager
def connected(route: Route, number: int = 1) -> Iterator[list[Connection]]:
    """Hold so many connections on the route; its server's port is free for others then."""
    with ExitStack() as stack:
        with listening(route) as listener:
            connections = [connect(route, listener) for _ in range(number)]
        for connection in connections:
            stack.enter_context(connection.client)
            stack.enter_context(connection.server)
        yield connections
