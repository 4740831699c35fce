"""Null sinks that count: OTLP/gRPC, and any POST over HTTP. They keep nothing of what they take.

Edge: sockets and threads of this process. Spans are counted by a mark that each has once, whatever the format is.
"""

import re
import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import grpc

from hopspan.otlp_export import EXPORT_METHOD
from tests.bench.pipeline_cases import HOST, Ports, Protocol
from tests.bench.pipeline_requests import HOP_MARK, SPAN_MARK

GRPC_THREADS = 4
GRACE_S = 1.0

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:\s*chunked\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Counts:
    """What has arrived."""

    requests: int = 0
    spans: int = 0
    network_spans: int = 0

    def since(self, earlier: "Counts") -> "Counts":
        return Counts(
            self.requests - earlier.requests,
            self.spans - earlier.spans,
            self.network_spans - earlier.network_spans,
        )


class Tally:
    """Counts from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()

    def add(self, body: bytes) -> None:
        spans, network_spans = body.count(SPAN_MARK), body.count(HOP_MARK)
        with self._lock:
            old = self._counts
            self._counts = Counts(old.requests + 1, old.spans + spans, old.network_spans + network_spans)

    def read(self) -> Counts:
        with self._lock:
            return self._counts


@contextmanager
def open_sinks(tally: Tally) -> Iterator[Ports]:
    """Hold a sink for each protocol; yield their ports."""
    with ExitStack() as stack:
        http = stack.enter_context(_open_http(tally))
        yield {
            Protocol.OTLP_GRPC: stack.enter_context(_open_grpc(tally)),
            Protocol.OTLP_HTTP: http,
            Protocol.ZIPKIN: http,
        }


class _TraceService(grpc.GenericRpcHandler):
    def __init__(self, tally: Tally) -> None:
        def take(request: bytes, _context: grpc.ServicerContext) -> bytes:
            tally.add(request)
            return b""

        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(take)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler if handler_call_details.method == EXPORT_METHOD else None


@contextmanager
def _open_grpc(tally: Tally) -> Iterator[int]:
    server = grpc.server(
        futures.ThreadPoolExecutor(GRPC_THREADS),
        handlers=[_TraceService(tally)],
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(GRACE_S).wait()


@contextmanager
def _open_http(tally: Tally) -> Iterator[int]:
    with socket.create_server((HOST, 0), backlog=64) as listener:
        thread = threading.Thread(target=_accept_all, args=(listener, tally), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Closing alone would leave accept(2) waiting.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept_all(listener: socket.socket, tally: Tally) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, tally), daemon=True).start()


def _serve(connection: socket.socket, tally: Tally) -> None:
    """Answer all requests of one connection, until the client closes it or goes away."""
    with connection, connection.makefile("rb") as stream:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while (message := read_message(stream)) is not None:
                tally.add(message[1])
                connection.sendall(_ANSWER)
        except OSError:
            return


def read_message(stream: BufferedReader) -> tuple[bytes, bytes] | None:
    """Return head and body of the next HTTP/1.1 message; None where the stream has ended. Raises OSError."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    if _CHUNKED.search(head):
        return head, b"".join(_read_chunks(stream))
    length = _LENGTH.search(head)
    return head, stream.read(int(length[1])) if length else b""


def _read_chunks(stream: BufferedReader) -> Iterator[bytes]:
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()
