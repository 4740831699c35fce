"""The door to HTTP clients: uvicorn's server, in a thread of its own, with our connections.

This module and that of the connections are the only ones that import uvicorn.
"""

import asyncio
import socket
import ssl
import threading
import time

import uvicorn

from collector_plugin.admission import Admission
from collector_plugin.bearer_auth import open_tokens
from collector_plugin.http_app import Handlers, SpanApplication
from collector_plugin.http_connection import Connection, Site
from collector_plugin.http_deadlines import Deadlines
from collector_plugin.http_intake import Gate
from collector_plugin.http_listener import Acceptor, listen
from collector_plugin.http_services import SpanService
from collector_plugin.http_settings import HttpServer
from hopspan.errors import HopspanError
from hopspan.tls_server import Renewed, make_server_context
from hopspan.values import Endpoint

HANDLER_THREADS = 64
"""Requests handled at once, as over gRPC: each waits for its delivery, so it takes many to merge."""

SWEEP_TICKS = 5
"""Deadlines are looked at every half second; uvicorn ticks each tenth."""

RENEW_TICKS = 50
"""TLS files are looked at every five seconds."""

NEVER_S = 10**6
"""uvicorn's own keep-alive timeout: any byte ends it, so the guard's counts instead."""


class HttpReceiver:
    """An HTTP server with one span service."""

    def __init__(
        self,
        settings: HttpServer,
        service: SpanService,
        admission: Admission,
        key: str,
        deadlines: Deadlines | None = None,
    ) -> None:
        """Listen, without serving yet. Raises HopspanError that begins with `key`, that of the settings."""
        tokens = open_tokens(settings.auth, f"{key}.auth")
        try:
            tls = Renewed(settings.tls, make_server_context) if settings.tls is not None else None
        except HopspanError as error:
            raise HopspanError(f"{key}.tls.{error}") from error
        self._listeners = listen(settings.endpoint, f"{key}.endpoint")
        self.endpoint = Endpoint(settings.endpoint.host, self._listeners[0].getsockname()[1])
        """What is listened on: with the system's choice where the configured port is 0."""
        self._threads = Handlers(HANDLER_THREADS, "http handler")
        gate = Gate(service, admission, settings.max_request_body_size_mib << 20, tokens)
        self._site = Site(gate, deadlines or Deadlines(head_ns=settings.read_header_timeout))
        application = SpanApplication(service, self._threads, self._site.answers)
        self._server = _Server(_configure(application), self._site, self._listeners, tls)
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)

    def count_answers(self) -> dict[str, int]:
        """Return how many requests were answered, by the number of the status."""
        return {str(int(status)): count for status, count in self._site.answers.read().items()}

    def count_ends(self) -> dict[str, int]:
        """Return how many connections ended by our doing, by the reason."""
        connections = self._site.connections
        return {
            **{phase.value: count for phase, count in self._site.overdue.read().items()},
            "connection_limit": connections.over_limit,
            "handshake": connections.handshakes_failed,
        }

    @property
    def connection_count(self) -> int:
        """Connections open now."""
        return self._site.connections.now

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Take no more requests, and wait up to `grace_s` for those under way; what is left is answered with 503."""
        if self._thread.is_alive():
            self._server.end(grace_s)
            self._thread.join()
        for listener in self._listeners:
            listener.close()
        self._threads.stop()


def _configure(application: SpanApplication) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        # What clients do is counted, not told; faults of ours are told by the application.
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=NEVER_S,
    )


class _Server(uvicorn.Server):
    """uvicorn's server over our acceptors, in a thread of its own: where no signal handlers are set."""

    def __init__(
        self, config: uvicorn.Config, site: Site, listeners: list[socket.socket], tls: Renewed[ssl.SSLContext] | None
    ) -> None:
        super().__init__(config)
        self._site = site
        self._listeners = listeners
        self._tls = tls
        self._refused = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's name
        acceptors = [
            Acceptor(listener, self._find_context, self._make_connection, self._site.connections)
            for listener in self._listeners
        ]
        self.servers = acceptors  # type: ignore[assignment]  # of a server only close and wait_closed are used
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if counter % SWEEP_TICKS == 0:
            now_ns, is_short = time.monotonic_ns(), self._is_room_short()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.close_overdue(now_ns, is_short=is_short)
        if self._tls is not None and counter % RENEW_TICKS == 0:
            self._tls.renew()
        return await super().on_tick(counter)

    def _is_room_short(self) -> bool:
        """Tell whether anybody was refused for want of room since this was asked last."""
        before, self._refused = self._refused, self._site.gate.admission.refused
        return self._refused != before

    def end(self, grace_s: float) -> None:
        """Stop, from another thread; requests under way have `grace_s`."""
        self.config.timeout_graceful_shutdown = grace_s  # type: ignore[assignment]  # seconds for wait_for
        self.should_exit = True

    def _find_context(self) -> ssl.SSLContext | None:
        return self._tls.value if self._tls is not None else None

    def _make_connection(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state, {}, site=self._site)
