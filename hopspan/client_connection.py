"""The socket of one HTTP client's connection: made when it is first needed, and cut by any thread. Edge."""

import ssl

from hopspan.timed_socket import TimedSocket
from hopspan.values import Endpoint


class ClientConnection:
    """A connection to one host. One thread at a time uses it; any thread may cut it."""

    KEEP_ALIVE_S: int | None = None
    """How long a peer may be silent until it is asked whether it is there; None: it is not asked."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        """Prepare a connection to the endpoint, with TLS where there is a context."""
        self.context = context
        self._endpoint = endpoint
        self._socket: TimedSocket | None = None
        self._is_cut = False

    def cut(self) -> None:
        """End what another thread waits for, at the latest when it has connected."""
        self._is_cut = True
        if self._socket is not None:
            self._socket.cut()

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()

    def _begin_call(self, deadline_ns: int) -> TimedSocket:
        """Return the socket, connected, for a call that ends by `deadline_ns`. Raises OSError."""
        connected = self._connect(deadline_ns) if self._socket is None else self._socket
        connected.begin_call(deadline_ns)
        return connected

    def _connect(self, deadline_ns: int) -> TimedSocket:
        self._socket = connected = TimedSocket(self._endpoint, self.context, deadline_ns)
        if self._is_cut:
            raise ConnectionAbortedError("cut while it was connecting")
        if self.KEEP_ALIVE_S is not None:
            connected.keep_alive(self.KEEP_ALIVE_S)
        connected.do_handshake()
        return connected
