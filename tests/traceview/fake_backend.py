"""A backend that answers what a test tells it to, be it HTTP or not: real sockets on this machine."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from hopspan.http_url import HttpUrl, read_http_url

Behaviour = Callable[[socket.socket, threading.Event], None]
"""Does what it likes with a connection whose request was read; returns at the latest when the event is set."""


class FakeBackend:
    """Answers each path with bytes, or behaves so; other paths with 404. `requests` holds the heads that came."""

    def __init__(self, answers: Mapping[str, bytes | Behaviour], context: ssl.SSLContext | None = None) -> None:
        """Listen, by TLS with a context; `answers` are found by the whole target, else by its path alone."""
        self._context = context
        self.requests: list[str] = []
        self._answers = answers
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> HttpUrl:
        """Return where it listens."""
        port = self._listener.getsockname()[1]
        return read_http_url(f"https://localhost:{port}" if self._context else f"http://127.0.0.1:{port}")

    @property
    def targets(self) -> list[str]:
        """Return what was asked for."""
        return [request.split(" ")[1] for request in self.requests]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        # It may wait for a connection: this one has it look whether it is to stop.
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            connection, _ = self._listener.accept()
            try:
                with self._context.wrap_socket(connection, server_side=True) if self._context else connection as peer:
                    self._answer(peer)
            except OSError:
                # The client went away, as it may.
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        self.requests.append(head.decode())
        target = self.targets[-1]
        path = target.partition("?")[0]
        found = next((self._answers[key] for key in (target, path) if key in self._answers), NO_SUCH_PAGE)
        if isinstance(found, bytes):
            connection.sendall(found)
        else:
            found(connection, self._stop)


def make_answer(status: int, body: bytes, *headers: str) -> bytes:
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status} Said So", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


NO_SUCH_PAGE = make_answer(404, b"no such page")


def hang(_: socket.socket, stop: threading.Event) -> None:
    """Say nothing."""
    stop.wait()


def drip(connection: socket.socket, stop: threading.Event) -> None:
    """Send a header that goes on for ever, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not stop.wait(0.01):
        connection.sendall(b"x")


def pour(connection: socket.socket, stop: threading.Event) -> None:
    """Send a body without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not stop.is_set():
        connection.sendall(bytes(1 << 20))


def pour_chunks(connection: socket.socket, stop: threading.Event) -> None:
    """Send chunks of one byte, whose frames are more than they hold, without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not stop.is_set():
        connection.sendall(b"1;extension=of-a-chunk\r\nx\r\n" * 1000)


def reset(connection: socket.socket, _: threading.Event) -> None:
    """End the connection by RST, in the middle of an answer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
