"""One HTTP/1.1 connection that gets documents, whole or piece by piece as they grow. Edge.

On httptools and our own socket, as `http_connection` is: each operation ends by its deadline, any thread may cut it.
"""

import ssl

from hopspan.client_connection import ClientConnection
from hopspan.http_answer import HttpAnswer
from hopspan.http_answer_reader import AnswerReader, AnswerTooLargeError
from hopspan.timed_socket import TimedSocket
from hopspan.values import Endpoint


class GetConnection(ClientConnection):
    """A connection to one host, made at once by the first `begin`. One thread at a time uses it; any may cut it."""

    KEEP_ALIVE_S = 5
    """A silent peer is asked whether it is there, as often again, and given up after three that got no answer."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, max_bytes: int) -> None:
        """Prepare, with TLS where there is a context; an answer, or what waits of it, has at most `max_bytes`."""
        super().__init__(endpoint, context)
        self._reader = AnswerReader(max_bytes)

    @property
    def is_reusable(self) -> bool:
        """Tell whether another document can be got: the last one has ended, and the peer keeps the connection."""
        is_kept = self._reader.is_reusable and not self._is_cut
        return is_kept and self._socket is not None and self._socket.is_silent()

    @property
    def status(self) -> int:
        """Return the status of the answer."""
        return self._reader.status

    def begin(self, head: bytes, deadline_ns: int) -> None:
        """Send a request, all of it, and wait for the header of its answer. Raises OSError or AnswerError."""
        connected = self._begin_call(deadline_ns)
        self._reader.begin()
        connected.send(head)
        while not self._reader.is_known:
            self._receive(connected)

    def read_whole(self) -> HttpAnswer:
        """Return the answer once all of it is there, by the deadline of `begin`. Raises OSError or AnswerError."""
        assert self._socket is not None
        while not self._reader.is_whole:
            self._receive(self._socket)
        return self._reader.read_answer()

    def read_piece(self, deadline_ns: int) -> bytes:
        """Return what is there next of the answer's body, none at its end. Raises OSError or AnswerError."""
        assert self._socket is not None
        self._socket.begin_call(deadline_ns)
        while not (piece := self._reader.take_body()) and not self._reader.is_whole:
            self._receive(self._socket)
        return piece

    def _receive(self, connected: TimedSocket) -> None:
        data = connected.receive()
        if not data:
            raise ConnectionResetError("it closed the connection within an answer")
        self._reader.feed(data)
        if self._reader.is_cut_short:
            raise AnswerTooLargeError("its answer has more bytes than are taken")
