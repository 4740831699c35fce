"""The OTLP/gRPC receiver: opens the server and what stands before it, and tells what became of requests.

An edge. What is answered is the service's, how calls are read is the server's.
"""

import errno
import socket
from collections.abc import Callable

from collector_plugin.admission import Admission
from collector_plugin.bearer_auth import open_tokens
from collector_plugin.config import GrpcProtocol
from collector_plugin.grpc_calls import CallServer
from collector_plugin.grpc_claims import ClaimsService
from collector_plugin.grpc_credentials import open_credentials
from collector_plugin.grpc_service import Taker, TraceService
from collector_plugin.grpc_watch import ReadWatch
from collector_plugin.http_listener import find_connection_limit
from hopspan.errors import HopspanError
from hopspan.values import Endpoint

MAX_STREAMS = 32
"""Requests that one connection may have under way: a Collector's exporter has ten. More wait at the client, where
they cost nothing; in a flood each that is taken costs a third of one that is delivered, be it in vain."""

KEY = "receivers.otlp.protocols.grpc"


class GrpcReceiver:
    """A gRPC server with OTLP's trace service."""

    def __init__(
        self,
        settings: GrpcProtocol,
        taker: Taker,
        admission: Admission | None = None,
        read_stored_bytes: Callable[[], int] = int,
        claims: ClaimsService | None = None,
    ) -> None:
        """Listen, without serving yet. Raises HopspanError, with the key, where that cannot be.

        What requests hold is taken from `admission`, by default one of its own. `read_stored_bytes` is the watch's.
        Agents that ask for claims are let in where there are `claims`.
        """
        self._has_served = False
        message_bytes = settings.max_recv_msg_size_mib << 20
        admission = admission or Admission()
        self.watch = ReadWatch(admission, message_bytes, read_stored_bytes)
        """The messages that are being read."""
        tokens = open_tokens(settings.auth, f"{KEY}.auth")
        self._service = TraceService(taker, self.watch, admission, tokens, claims)
        self._server = CallServer(
            self._service,
            [
                ("grpc.max_receive_message_length", message_bytes),
                ("grpc.max_concurrent_streams", MAX_STREAMS),
                ("grpc.max_allowed_incoming_connections", find_connection_limit()),
                # Else each stream's window grows with the connection's speed, from 64 KiB to megabytes that nothing
                # counts. A message that is waited for has its whole length as a window anyway.
                ("grpc.http2.bdp_probe", 0),
                # Else a second plugin on the port would silently take half of the connections.
                ("grpc.so_reuseport", 0),
            ],
        )
        credentials = open_credentials(settings.tls, f"{KEY}.tls") if settings.tls is not None else None
        _require_free(settings.endpoint)
        try:
            port = self._server.listen(str(settings.endpoint), credentials)
        except RuntimeError as error:
            raise HopspanError(f"{KEY}.endpoint: cannot listen on {settings.endpoint}") from error
        self.endpoint = Endpoint(settings.endpoint.host, port)
        """What is listened on: with the system's choice where the configured port is 0."""

    def count_answers(self) -> dict[str, int]:
        """Return how many requests were answered, by the name of the gRPC status."""
        return {code.name: count for code, count in self._service.answers.read().items()}

    def count_ends(self) -> dict[str, int]:
        """Return how many requests were ended by our doing, by the reason."""
        return self.watch.count_ends()

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()
        self._has_served = True
        self.watch.start()

    def stop(self, grace_s: float) -> None:
        """Take no more requests, and wait up to `grace_s` for those under way; what is left is cancelled."""
        self.watch.stop()
        if not self._has_served:
            # gRPC never closes the sockets of a server that was not started.
            self._server.start()
            self._has_served = True
        self._service.end_streams()
        self._server.stop(grace_s)
        self._service.close()


def _require_free(endpoint: Endpoint) -> None:
    """Raise HopspanError where another program has one of the endpoint's addresses.

    gRPC is content with one of several, so that beside another server on 127.0.0.1 it would serve ::1 alone.
    """
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HopspanError(f"{KEY}.endpoint: cannot listen on {endpoint}: {error.strerror}") from error
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen(1)
        except OSError as error:
            # Others, such as a kernel without IPv6, leave at least one address, or gRPC will say so.
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise HopspanError(f"{KEY}.endpoint: cannot listen on {endpoint}: {error.strerror}") from error
