"""A TCP connection, plain or TLS, of which every operation ends by the deadline of its call. Edge.

A timeout bounds a single wait: whoever sends one byte before each runs out keeps a call for ever. Connections are
direct: proxies of the environment are not asked for.
"""

import contextlib
import select
import socket
import ssl
import time

from hopspan.values import Endpoint

RECEIVE_BYTES = 64 * 1024
"""Read at once: more than most answers have."""


class TimedSocket:
    """A connected socket. One call at a time uses it; any thread may cut it."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, deadline_ns: int) -> None:
        """Connect by `deadline_ns` of the monotonic clock; TLS is yet to be negotiated where there is a context.

        Only to look the name up may take longer: as long as the system's resolver does. Raises OSError.
        """
        self._deadline_ns = deadline_ns
        self._raw = _connect(endpoint, deadline_ns)
        # Headers and body may leave in two parts; the second would wait for the peer's delayed acknowledgement.
        self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            name = endpoint.host.rstrip(".")
            self._raw = context.wrap_socket(self._raw, server_hostname=name, do_handshake_on_connect=False)

    def begin_call(self, deadline_ns: int) -> None:
        """Let the next operations end by `deadline_ns` of the monotonic clock."""
        self._deadline_ns = deadline_ns

    def keep_alive(self, interval_s: int) -> None:
        """Notice a peer that is gone without a word, within four intervals of silence."""
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            self._raw.setsockopt(socket.IPPROTO_TCP, option, interval_s)
        self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

    def do_handshake(self) -> None:
        """Negotiate TLS, where it is spoken. Raises TimeoutError at the deadline, ssl.SSLError."""
        if isinstance(self._raw, ssl.SSLSocket):
            self._raw.settimeout(_find_left_s(self._deadline_ns))
            self._raw.do_handshake()

    def send(self, data: bytes) -> None:
        """Send all of `data`. Raises TimeoutError at the deadline, OSError."""
        view = memoryview(data)
        while view:
            self._raw.settimeout(_find_left_s(self._deadline_ns))
            view = view[self._raw.send(view) :]

    def receive(self) -> bytes:
        """Return what is there, at least a byte, or none at the end. Raises TimeoutError at the deadline, OSError."""
        self._raw.settimeout(_find_left_s(self._deadline_ns))
        return self._raw.recv(RECEIVE_BYTES)

    def is_silent(self) -> bool:
        """Tell whether there is nothing to read, not even an end: so it should be between two calls."""
        poll = select.poll()
        poll.register(self._raw, select.POLLIN)
        return not poll.poll(0)

    def cut(self) -> None:
        """End what another thread does with the socket, without a byte more."""
        # Closed, or never connected: there is nothing to end.
        with contextlib.suppress(OSError):
            # Not SSLSocket's own: it forgets TLS first, and what is sent meanwhile would go as plain text.
            socket.socket.shutdown(self._raw, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        self._raw.close()


def _connect(endpoint: Endpoint, deadline_ns: int) -> socket.socket:
    addresses = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        raw = socket.socket(family, kind, protocol)
        try:
            # An equal share: else one address that does not answer would leave the others no time.
            raw.settimeout(_find_left_s(deadline_ns) / (len(addresses) - index))
            raw.connect(address)
        except OSError as error:
            raw.close()
            failure = error
        except BaseException:
            raw.close()
            raise
        else:
            return raw
    raise failure if failure is not None else OSError("its name has no address")


def _find_left_s(deadline_ns: int) -> float:
    left_ns = deadline_ns - time.monotonic_ns()
    if left_ns <= 0:
        raise TimeoutError("the call's deadline is over")
    return left_ns / 1e9
