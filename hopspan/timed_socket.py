"""A socket of which every operation ends by the deadline of its call, however slowly the peer goes on. Edge.

A timeout bounds a single wait: whoever sends one byte before each runs out keeps a call for ever. http.client takes
this for a socket: it sends, makes a file to read from, and closes.
"""

import contextlib
import io
import socket
import ssl
import time
from typing import Any

MAX_HEADER_BYTES = 64 * 1024
"""Of an answer's status line and headers: eight times what servers send; http.client would take 6 MiB."""


class AnswerHeaderError(OSError):
    """The header of an answer is longer than MAX_HEADER_BYTES."""


class TimedSocket:
    """A connected socket, plain or TLS. One call at a time uses it."""

    def __init__(self, raw: socket.socket) -> None:
        """Take over the socket."""
        self._raw = raw
        self._deadline_ns = 0
        self._header_bytes: int | None = None
        self._users = 1

    def begin_call(self, deadline_ns: int) -> None:
        """Let the next operations end by `deadline_ns` of the monotonic clock; what is read next is a header."""
        self._deadline_ns = deadline_ns
        self._header_bytes = MAX_HEADER_BYTES

    def begin_body(self) -> None:
        """Read without the header's bound: whoever reads the body has its own."""
        self._header_bytes = None

    def do_handshake(self) -> None:
        """Negotiate TLS, on a socket that speaks it. Raises TimeoutError at the deadline, ssl.SSLError."""
        assert isinstance(self._raw, ssl.SSLSocket)
        self._set_timeout()
        self._raw.do_handshake()

    def cut(self) -> None:
        """End what another thread does with the socket, without a byte more."""
        # Closed, or never connected: there is nothing to end.
        with contextlib.suppress(OSError):
            # Not SSLSocket's own: it forgets TLS first, and what is sent meanwhile would go as plain text.
            socket.socket.shutdown(self._raw, socket.SHUT_RDWR)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._raw.fileno()

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: the deadline of the call counts."""

    def sendall(self, data: bytes) -> None:
        """Send all of `data`. Raises TimeoutError at the deadline."""
        view = memoryview(data)
        while view:
            self._set_timeout()
            view = view[self._raw.send(view) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a file to read an answer from; the socket stays open until it is closed as well."""
        self._users += 1
        return io.BufferedReader(_Reader(self))

    def receive_into(self, buffer: Any) -> int:
        """Read what is there into the buffer. Raises TimeoutError at the deadline, AnswerHeaderError."""
        view = memoryview(buffer)
        if self._header_bytes is not None:
            if self._header_bytes == 0:
                raise AnswerHeaderError(f"the header is longer than {MAX_HEADER_BYTES} bytes")
            view = view[: self._header_bytes]
        self._set_timeout()
        size = self._raw.recv_into(view)
        if self._header_bytes is not None:
            self._header_bytes -= size
        return size

    def close(self) -> None:
        """Give back one use; the last one closes the socket."""
        self._users -= 1
        if self._users == 0:
            self._raw.close()

    def _set_timeout(self) -> None:
        left_ns = self._deadline_ns - time.monotonic_ns()
        if left_ns <= 0:
            raise TimeoutError("the call's deadline is over")
        self._raw.settimeout(left_ns / 1e9)


class _Reader(io.RawIOBase):
    def __init__(self, owner: TimedSocket) -> None:
        self._owner = owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._owner.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._owner.close()
