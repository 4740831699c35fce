"""Plain HTTP between pods, over sockets alone: what packets carry is known to the byte, and so is the parent's id.

Needs the overlay and its services, no sidecar: the server listens where the sidecar would.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from testbed.namespace import open_socket
from testbed.topology import CART_SERVICE, SIDECAR_INBOUND_PORT, Pod, Service

TIMEOUT_S = 60.0
HEADERS_END = b"\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Exchange:
    """A request that was answered: its context, and when it began and ended, epoch ns."""

    trace_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int


@contextmanager
def serving(service: Service = CART_SERVICE) -> Iterator[None]:
    """Hold a server in the service's pod that answers every request."""
    with open_socket(service.pod.namespace) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(service.pod.address), SIDECAR_INBOUND_PORT))
        listener.listen()
        accepting = Thread(target=_accept, args=(listener,), name="plain-server")
        accepting.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2)
            accepting.join(TIMEOUT_S)


@contextmanager
def connected(pod: Pod, service: Service = CART_SERVICE) -> Iterator[socket.socket]:
    """Hold a connection from a pod to a service's ClusterIP."""
    with open_socket(pod.namespace) as client:
        client.settimeout(TIMEOUT_S)
        client.connect((str(service.cluster_address), service.port))
        yield client


def ask(client: socket.socket, before: bytes = b"") -> Exchange:
    """Send a request with a new context, in one write, and return once it is answered.

    `before` are header lines, each with its end, that stand before the context.
    """
    trace_id, parent_id = os.urandom(16), os.urandom(8)
    context = f"traceparent: 00-{trace_id.hex()}-{parent_id.hex()}-01".encode()
    request = b"GET /cart HTTP/1.1\r\nHost: cart\r\n" + before + context + HEADERS_END
    start_ns = time.time_ns()
    client.sendall(request)
    answer = b""
    while len(answer) < len(ANSWER):
        part = client.recv(1 << 16)
        assert part, "the server closed the connection"
        answer += part
    assert answer == ANSWER
    return Exchange(trace_id, parent_id, start_ns, time.time_ns())


def render_parents(exchanges: list[Exchange]) -> bytes:
    """Return an OTLP request with the CLIENT spans of the exchanges."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="plain")))
    group.scope_spans.add().spans.extend(
        Span(
            trace_id=exchange.trace_id,
            span_id=exchange.parent_id,
            name="GET /cart",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=exchange.start_ns,
            end_time_unix_nano=exchange.end_ns,
        )
        for exchange in exchanges
    )
    return request.SerializeToString()


def _accept(listener: socket.socket) -> None:
    """Serve each connection until the listener is shut down."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        Thread(target=_answer, args=(connection,), name="plain-answer", daemon=True).start()


def _answer(connection: socket.socket) -> None:
    """Answer each request on a connection until the client closes it."""
    with connection:
        waiting = b""
        while part := connection.recv(1 << 16):
            waiting += part
            while HEADERS_END in waiting:
                waiting = waiting.partition(HEADERS_END)[2]
                connection.sendall(ANSWER)
