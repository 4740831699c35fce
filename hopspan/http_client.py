"""Posts requests to one URL over connections that are kept: one attempt per call, no redirects, no proxies. Edge.

Whether and when to try again is the caller's business. What it raises may be logged: the values of headers are taken
out of it. TLS files that were renewed are read again after a failure, as certificates live for weeks.
"""

import gzip
import ssl
import threading
import time

from hopspan.errors import HopspanError
from hopspan.export_auth import ExportAuth
from hopspan.export_errors import RetryableExportError
from hopspan.header_secrets import blot_out
from hopspan.http_answer import HttpAnswer
from hopspan.http_connection import ERRORS, HttpConnection, describe_error
from hopspan.http_export_settings import HttpExporterSettings
from hopspan.settings import Compression
from hopspan.tls_context import open_client_context
from hopspan.tls_files import read_stamp
from hopspan.user_agent import USER_AGENT

MAX_IDLE_CONNECTIONS = 16
"""Kept open for the next posts: as many as threads may post at once, without opening one each time."""

MAX_IDLE_NS = 90 * 10**9
"""As the Collector's `idle_conn_timeout`: load balancers forget silent connections after minutes, and tell nobody."""

GZIP_LEVEL = 1
"""On spans less than half of level 6's time, for a tenth more bytes."""


class HttpClient:
    """A way to one URL. Safe to use from several threads."""

    def __init__(self, settings: HttpExporterSettings, content_type: str) -> None:
        """Prepare; it connects with the first post. Raises HopspanError for an unusable file or header."""
        self._settings = settings
        self._url = settings.url
        self._head = _compose_head(settings, content_type)
        self._auth = ExportAuth(settings.auth, settings.headers)
        self._lock = threading.Lock()
        self._closed = False
        self._idle: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._stamp = read_stamp(settings.tls)
        self._context = self._open_context()

    def post(self, body: bytes, timeout_ns: int | None = None) -> HttpAnswer:
        """Post `body` once and return the answer, whatever its status; `timeout_ns` in place of the configured one.

        Raises RetryableExportError where no answer came: UNAVAILABLE, DEADLINE_EXCEEDED, or CANCELLED by `close`.
        """
        deadline_ns = time.monotonic_ns() + (self._settings.timeout if timeout_ns is None else timeout_ns)
        if self._settings.compression is Compression.GZIP:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        connection = self._take_connection()
        try:
            return connection.post(self._head + b"%d\r\n" % len(body) + self._finish_head(), body, deadline_ns)
        except ERRORS as error:
            raise self._map_error(error) from error
        finally:
            self._give_back(connection)

    def blot_out(self, text: str) -> str:
        """Return what a peer says, shortened, on one line, and without the values of our headers."""
        return " ".join(blot_out(text.strip(), self._auth.list_secrets()).split())

    def close(self) -> None:
        """Close all connections; posts in flight end as CANCELLED."""
        with self._lock:
            self._closed = True
            busy = tuple(self._busy)
            self._close_idle()
        for connection in busy:
            connection.cut()

    def _finish_head(self) -> bytes:
        authorization = self._auth.read_authorization()
        return f"Authorization: {authorization}\r\n\r\n".encode("ascii") if authorization is not None else b"\r\n"

    def _take_connection(self) -> HttpConnection:
        now_ns = time.monotonic_ns()
        with self._lock:
            if self._closed:
                raise RetryableExportError("CANCELLED", "the exporter is closed")
            connection = self._find_idle(now_ns) or HttpConnection(self._url.endpoint, self._context)
            self._busy.add(connection)
        return connection

    def _find_idle(self, now_ns: int) -> HttpConnection | None:
        # The last first: it is the likeliest to be alive, and the others can grow old.
        while self._idle:
            connection = self._idle.pop()
            if now_ns - connection.idle_since_ns <= MAX_IDLE_NS and connection.is_alive():
                return connection
            connection.close()
        return None

    def _give_back(self, connection: HttpConnection) -> None:
        with self._lock:
            self._busy.discard(connection)
            is_current = connection.context is self._context and not self._closed
            if connection.is_reusable and is_current and len(self._idle) < MAX_IDLE_CONNECTIONS:
                connection.idle_since_ns = time.monotonic_ns()
                self._idle.append(connection)
                return
        connection.close()

    def _map_error(self, error: Exception) -> RetryableExportError:
        if self._closed:
            return RetryableExportError("CANCELLED", "the exporter is closed")
        fault = self._follow_renewal()
        message = self.blot_out("; ".join(filter(None, (fault, f"{self._url.endpoint}: {describe_error(error)}"))))
        return RetryableExportError(
            "DEADLINE_EXCEEDED" if isinstance(error, TimeoutError) else "UNAVAILABLE", message
        )

    def _follow_renewal(self) -> str:
        """Let go of the other connections, as the peer may be gone, and begin afresh where a TLS file has changed.

        Return what is wrong with the new files: half of a pair may be there, so the next failure looks again.
        """
        with self._lock:
            self._close_idle()
            stamp = read_stamp(self._settings.tls)
            if stamp == self._stamp:
                return ""
            try:
                self._context = self._open_context()
            except HopspanError as error:
                return str(error)
            self._stamp = stamp
        return ""

    def _open_context(self) -> ssl.SSLContext | None:
        return open_client_context(self._settings.tls) if self._url.is_secure else None

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _compose_head(settings: HttpExporterSettings, content_type: str) -> bytes:
    """Return the request line and the headers, up to Content-Length's value."""
    for fault in settings.check_headers():
        # Of settings that were not read from a file: a line break would begin another header, or another request.
        raise HopspanError(fault)
    headers = {"Accept-Encoding": "identity", "Content-Type": content_type}
    if settings.compression is Compression.GZIP:
        headers["Content-Encoding"] = "gzip"
    names = {name.lower() for name in settings.headers}
    replaceable = {"Host": settings.url.host_header, "User-Agent": USER_AGENT}
    headers |= {name: value for name, value in replaceable.items() if name.lower() not in names}
    headers |= settings.headers
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"POST {settings.url.path or '/'} HTTP/1.1", *lines, "Content-Length: "]).encode("ascii")
