"""Listening sockets of the HTTP receivers, and the acceptor that bounds how many connections there are.

An edge. Connections count from the moment they are accepted, those in the middle of a TLS handshake too.
"""

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Callable

from hopspan.errors import HopspanError
from hopspan.values import Endpoint

MAX_CONNECTIONS = 4096
"""Of one receiver. An idle one takes some 5 KiB; a Collector's exporter has a few, an SDK one."""

HANDSHAKE_S = 10.0
SHUTDOWN_S = 5.0
"""For the beginning and the end of TLS."""

BACKLOG = 1024
PORT_ATTEMPTS = 10
FILES_PAUSE_S = 0.1
KEEP_ALIVE_S = 60

_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def find_connection_limit() -> int:
    """Return how many connections one receiver may have: a quarter of the files that the process may open.

    The soft limit is raised first, as Go's runtime does: it is 1024 for the sake of select(), which is not used here.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            # A kernel with a lower ceiling (fs.nr_open), or a system call filter: then less it is.
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MAX_CONNECTIONS, soft // 4))


def listen(endpoint: Endpoint, key: str) -> list[socket.socket]:
    """Return a listening socket for each address of the endpoint, all on one port.

    Raises HopspanError that begins with `key`, where one of them is taken or none can be listened on.
    """
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise HopspanError(f"{key}: cannot listen on {endpoint}: {error.strerror}") from error
    addresses: list[tuple[int, str]] = list(
        dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found)
    )
    for attempt in range(PORT_ATTEMPTS):
        try:
            return _listen_all(addresses, endpoint.port)
        except OSError as error:
            # The system chose a port that is free on the first address alone: another one is tried.
            if endpoint.port == 0 and error.errno == errno.EADDRINUSE and attempt + 1 < PORT_ATTEMPTS:
                continue
            raise HopspanError(f"{key}: cannot listen on {endpoint}: {error.strerror}") from error
    raise AssertionError("the last attempt returns or raises")


def _listen_all(addresses: list[tuple[int, str]], port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in addresses:
            try:
                listeners.append(_listen_one(family, address, port, is_one_of_several=len(addresses) > 1))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
            else:
                port = listeners[0].getsockname()[1]
        if not listeners:
            raise absent or OSError(errno.EADDRNOTAVAIL, "no address")
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listen_one(family: int, address: str, port: int, *, is_one_of_several: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by connections: a client whose machine is gone is found out.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE_S)
        if family == socket.AF_INET6:
            # `[::]` alone is for both families, as everywhere.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(is_one_of_several))
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener


class Acceptor:
    """Accepts the connections of one listening socket. Made and used within its event loop.

    Of the interface of an asyncio server it has what uvicorn calls.
    """

    def __init__(
        self,
        listener: socket.socket,
        find_context: Callable[[], ssl.SSLContext | None],
        make_protocol: Callable[[], asyncio.Protocol],
        connections: "ConnectionCount",
    ) -> None:
        """Begin to accept, with TLS where there is a context at that moment."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._find_context = find_context
        self._make_protocol = make_protocol
        self._connections = connections
        self._opening: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more, and give up those in the middle of a handshake."""
        self._accepting.cancel()
        for task in self._opening:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until the socket is no longer used, and close it."""
        await asyncio.wait([self._accepting])
        self._listener.close()

    async def _accept(self) -> None:
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listener)
            except OSError:
                # The client is gone already, or there are no more files: others will be closed.
                await asyncio.sleep(FILES_PAUSE_S)
                continue
            if not self._connections.open():
                connection.close()
                continue
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        context = self._find_context()
        timeouts = (
            {} if context is None else {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": SHUTDOWN_S}
        )
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection, ssl=context, **timeouts)
        except (OSError, asyncio.CancelledError):
            # No TLS, not ours, or too slow (ssl.SSLError and TimeoutError are OSErrors).
            self._connections.fail()
            connection.close()


class ConnectionCount:
    """How many connections there are, and how many were not let in. Used within one event loop."""

    def __init__(self, limit: int) -> None:
        """Allow up to `limit`."""
        self._limit = limit
        self.now = 0
        self.over_limit = 0
        self.handshakes_failed = 0

    def open(self) -> bool:
        """Count a connection; False, counted too, where there is one too many."""
        if self.now >= self._limit:
            self.over_limit += 1
            return False
        self.now += 1
        return True

    def fail(self) -> None:
        """Count the end of a connection that never was one."""
        self.now -= 1
        self.handshakes_failed += 1

    def close(self) -> None:
        """Count the end of a connection."""
        self.now -= 1
