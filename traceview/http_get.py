"""Gets one path of a backend, bounded in bytes and time. The only module here that speaks HTTP, and this only to ask.

No redirects are followed, as they may lead to a page of login, or take credentials elsewhere; proxies of the
environment are not asked for. What it raises holds no value of a header.
"""

import http.client
import io
import ssl
import time
from collections.abc import Mapping
from typing import BinaryIO

import msgspec

from hopspan.errors import HopspanError
from hopspan.header_secrets import blot_out, find_secrets
from hopspan.http_connection import describe_error
from hopspan.http_export_settings import HttpExporterSettings
from hopspan.http_url import HttpUrl
from hopspan.settings import TlsClient
from hopspan.timed_socket import TimedSocket
from hopspan.tls_context import open_client_context
from hopspan.version import VERSION
from traceview.text import make_visible

MAX_BODY_BYTES = 64 << 20
"""Of an answer: some 40,000 hops. More takes a terminal, or a look at it, nowhere."""

MAX_FRAME_BYTES = 8 << 20
"""Of what is no body: header, sizes of chunks, trailers."""

DEFAULT_TIMEOUT_NS = 30 * 10**9
"""For one answer, from the first packet to the last byte: a backend may search its storage for a while."""

_PIECE_BYTES = 1 << 20


class BackendError(Exception):
    """A backend gave no answer that can be used; the text names it and says what was wrong."""


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """Where a backend is, and how to speak to it."""

    url: HttpUrl
    headers: Mapping[str, str] = {}
    tls: TlsClient = TlsClient()
    verify: bool = True
    """Whether the certificate must be right. False: anybody may answer, and read the headers."""
    timeout_ns: int = DEFAULT_TIMEOUT_NS


class Answer(msgspec.Struct, frozen=True):
    """An answer, whole, whatever its status."""

    status: int
    body: bytes
    location: str = ""
    """Where a redirect leads to."""


class HttpGetter:
    """Asks one backend, on a connection of its own each time."""

    def __init__(self, backend: Backend) -> None:
        """Prepare; raises BackendError for headers that cannot be sent and TLS files that cannot be used."""
        self.backend = backend
        self._secrets = find_secrets(backend.headers)
        settings = HttpExporterSettings(tls=backend.tls, headers=dict(backend.headers))
        for fault in (*settings.check_headers(), *settings.check_tls("the URL", backend.url)):
            raise BackendError(fault)
        try:
            self._context = open_client_context(backend.tls) if backend.url.is_secure else None
        except HopspanError as error:
            raise BackendError(str(error)) from error
        if self._context is not None and not backend.verify:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE

    def get(self, target: str) -> Answer:
        """Return the answer to GET for the backend's path and `target` behind it. Raises BackendError."""
        deadline_ns = time.monotonic_ns() + self.backend.timeout_ns
        try:
            return self._exchange(target, deadline_ns)
        except TimeoutError as error:
            raise self._complain(f"no whole answer within {self.backend.timeout_ns / 1e9:g} s") from error
        except http.client.HTTPException as error:
            raise self._complain(f"its answer is not HTTP/1.1 ({type(error).__name__})") from error
        except OSError as error:
            raise self._complain(describe_error(error)) from error

    def show(self, text: str) -> str:
        """Return foreign text on one line, without credentials that it may repeat."""
        return make_visible(" ".join(blot_out(text, self._secrets).split()))

    def _exchange(self, target: str, deadline_ns: int) -> Answer:
        connected = TimedSocket(self.backend.url.endpoint, self._context, deadline_ns)
        try:
            connected.do_handshake()
            connected.send(self._compose_request(target))
            with http.client.HTTPResponse(_Source(connected), method="GET") as response:  # type: ignore[arg-type] # it asks for makefile alone
                response.begin()
                body = self._read_body(response)
                return Answer(response.status, body, response.getheader("location", ""))
        finally:
            connected.close()

    def _compose_request(self, target: str) -> bytes:
        own = {
            "Host": self.backend.url.host_header,
            "User-Agent": f"hopspan/{VERSION}",
            "Accept": "application/json",
        }
        given = {name.lower() for name in self.backend.headers}
        headers = {name: value for name, value in own.items() if name.lower() not in given}
        headers |= {**self.backend.headers, "Accept-Encoding": "identity", "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        path = self.backend.url.path.rstrip("/") + target
        return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("ascii")

    def _read_body(self, response: http.client.HTTPResponse) -> bytes:
        if response.getheader("content-encoding", "identity").lower() != "identity":
            raise self._complain("its answer is packed, though that was not asked for")
        body = bytearray()
        while len(body) + (response.length or 0) <= MAX_BODY_BYTES:
            piece = response.read(_PIECE_BYTES)
            if not piece:
                if response.length:
                    raise self._complain(f"its answer ends {response.length} bytes early")
                return bytes(body)
            body += piece
        raise self._complain(f"its answer has more than {MAX_BODY_BYTES >> 20} MiB; ask for less")

    def _complain(self, text: str) -> BackendError:
        return BackendError(f"{self.backend.url}: {self.show(text)}")


class _Source(io.RawIOBase):
    """What the library reads an answer from: a socket whose every operation ends by the deadline."""

    def __init__(self, connected: TimedSocket) -> None:
        self._connected = connected
        self._held = b""
        self._left = MAX_BODY_BYTES + MAX_FRAME_BYTES

    def makefile(self, _mode: str) -> BinaryIO:
        """Return the buffered file that the library wants of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader gives
        """Read what is there. Raises OSError, also where more came than an answer may have."""
        self._held = self._held or self._connected.receive()
        piece = self._held[: len(buffer)]
        self._left -= len(piece)
        if self._left < 0:
            raise OSError("its answer does not end")
        buffer[: len(piece)] = piece
        self._held = self._held[len(piece) :]
        return len(piece)
