"""An HTTP peer on a real socket, which records, refuses, stalls, answers nonsense, resets, and goes away."""

import gzip
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from hopspan.http_url import HttpUrl
from hopspan.values import Endpoint
from tests.hopspan.certificates import Authority, Pair

DEADLINE_S = 20.0
"""How long a test waits for what must happen."""

RESET = b"<reset>"
"""In the place of raw bytes: a reset instead of an end."""


class Request(msgspec.Struct, frozen=True):
    """What arrived; `body` is unpacked, `connection` counts from 1."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    client_name: str = ""


class Answer(msgspec.Struct, frozen=True):
    """A well-formed answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}


Behaviour = Callable[[Request], Answer | Iterable[bytes]]
"""Gives an answer, or raw bytes after which the connection ends."""


class HttpPeer:
    """A peer on localhost; `behave` is called for each request."""

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        """Listen, with TLS where there is a context."""
        self.received: queue.Queue[Request] = queue.Queue()
        self.behave: Behaviour = lambda _request: Answer()
        self.early_answer = b""
        """Sent without reading a body, before the connection ends."""
        self.connections = 0
        self._context = context
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = _Server(port, self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def url(self, path: str = "") -> HttpUrl:
        """Return the peer's URL."""
        return HttpUrl("http" if self._context is None else "https", Endpoint("localhost", self.port), path)

    def take(self) -> Request:
        """Return the next request, once it is there."""
        return self.received.get(timeout=DEADLINE_S)

    def hang_up(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def close(self) -> None:
        """Go away; what is under way is cut off."""
        self._server.shutdown()
        self._thread.join(DEADLINE_S)
        self._server.server_close()
        self.hang_up()

    def enter(self, raw: socket.socket) -> tuple[socket.socket, int]:
        """Take a new connection in and return it, as TLS where that is spoken, and its number."""
        with self._lock:
            self.connections += 1
            number = self.connections
        if self._context is not None:
            raw = self._context.wrap_socket(raw, server_side=True)
        with self._lock:
            self._open.add(raw)
        return raw, number

    def leave(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._open.discard(connection)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, port: int, peer: HttpPeer) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.peer = peer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.request, self._number = self.server.peer.enter(self.request)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.server.peer.leave(self.request)
        self.request.close()

    def do_POST(self) -> None:
        if self.server.peer.early_answer:
            self.wfile.write(self.server.peer.early_answer)
            self.close_connection = True
            return
        request = self._read_request()
        self.server.peer.received.put(request)
        answer = self.server.peer.behave(request)
        if isinstance(answer, Answer):
            self._answer(answer)
        else:
            self._answer_raw(answer)

    do_GET = do_POST  # noqa: N815 - named by the base class

    def _read_request(self) -> Request:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.path, headers, body, self._number, _read_client_name(self.request))

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _answer_raw(self, parts: Iterable[bytes]) -> None:
        self.close_connection = True
        for part in parts:
            if part == RESET:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()
                return
            self.wfile.write(part)

    def log_message(self, *_arguments: object) -> None:
        pass


def serve_tls(pair: Pair, clients: Authority | None = None) -> ssl.SSLContext:
    """Return the context of a server; with `clients`, one that lets in only who has a certificate of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(pair.cert_file), Path(pair.key_file))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.ca_file)
    return context


def trickle(head: bytes, byte: bytes, until: threading.Event) -> Iterator[bytes]:
    """Yield `head`, and then one byte after the other, none of them late, until the event is set."""
    yield head
    while not until.wait(0.02):
        yield byte


def _read_client_name(connection: socket.socket) -> str:
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    if not certificate:
        return ""
    subject: Any = certificate["subject"]
    return str(dict(pair[0] for pair in subject)["commonName"])


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
