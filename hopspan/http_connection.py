"""One HTTP/1.1 connection, which posts and is used again. Edge.

On httptools and our own socket: urllib3 takes six times the CPU a post, and its pool gives no hold on a call in
flight, so that neither the call's deadline nor the end of the program could end it.
"""

import contextlib
import ssl

from hopspan.client_connection import ClientConnection
from hopspan.http_answer import HttpAnswer
from hopspan.http_answer_reader import AnswerError, AnswerReader
from hopspan.timed_socket import TimedSocket
from hopspan.values import Endpoint

ERRORS = (OSError, AnswerError)
"""What a failed post raises."""

MAX_JOINED_BYTES = 256 * 1024
"""Up to this size to copy a body behind its header costs less than to send it alone."""


class HttpConnection(ClientConnection):
    """A connection to one host, made with the first post. One thread at a time posts; any thread may cut it."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        """Prepare a connection to the endpoint, with TLS where there is a context."""
        super().__init__(endpoint, context)
        self.is_reusable = False
        self.idle_since_ns = 0
        self._reader = AnswerReader()

    def post(self, head: bytes, body: bytes, deadline_ns: int) -> HttpAnswer:
        """Send a request and return its answer, by `deadline_ns` of the monotonic clock. Raises one of ERRORS.

        `head` is the request line and the headers, with Content-Length and the empty line. An answer counts once its
        header is there, whatever becomes of its body. `is_reusable` tells afterwards whether it can post again.
        """
        self.is_reusable = False
        connected = self._begin_call(deadline_ns)
        self._reader.begin()
        is_sent = _send(connected, head, body)
        try:
            self._receive(connected)
        except ERRORS:
            if not self._reader.is_known:
                raise
        self.is_reusable = is_sent and self._reader.is_reusable
        return self._reader.read_answer()

    def is_alive(self) -> bool:
        """Tell whether the peer has kept an idle connection open; one that has something to read has not."""
        return self._socket is not None and self._socket.is_silent()

    def _receive(self, connected: TimedSocket) -> None:
        while not self._reader.is_whole:
            data = connected.receive()
            if not data:
                raise ConnectionResetError("it closed the connection without an answer")
            self._reader.feed(data)


def describe_error(error: Exception) -> str:
    """Return what one of ERRORS means, in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error.strerror}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _send(connected: TimedSocket, head: bytes, body: bytes) -> bool:
    # A peer that refuses a request may answer and hang up before it has read everything: its answer counts.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if len(body) <= MAX_JOINED_BYTES:
            connected.send(head + body)
        else:
            connected.send(head)
            connected.send(body)
        return True
    return False
