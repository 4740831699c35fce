"""The door to urllib3: one HTTP/1.1 connection, which posts and is used again. Alone in importing urllib3.

Its pool and its retries are not used: a pool gives no hold on a call in flight, so that neither the call's deadline
nor the end of the program could end it. Connections are direct: proxies of the environment are not asked for.
"""

import contextlib
import http.client
import ssl
import time
from collections.abc import Mapping

import urllib3
import urllib3.connection

from hopspan.http_answer import HttpAnswer
from hopspan.http_url import HttpUrl
from hopspan.timed_socket import TimedSocket

MAX_RESPONSE_BYTES = 4 << 20
"""OTLP asks servers to stay below 4 MiB; without a cap a hostile peer could fill our memory (CVE-2026-39882)."""

ERRORS = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)
"""What a failed post raises."""

_READ_BYTES = 64 * 1024
_MIN_FINAL_STATUS = 200

# It would log headers that it cannot parse, and a peer may have put our credentials there.
urllib3.connection.log.disabled = True


class HttpConnection:
    """A connection to one host, made with the first post. One thread at a time posts; any thread may cut it."""

    def __init__(self, url: HttpUrl, context: ssl.SSLContext | None) -> None:
        """Prepare a connection to the URL's host, with TLS where there is a context."""
        self.context = context
        self.is_reusable = False
        self.idle_since_ns = 0
        self._is_cut = False
        self._host = url.endpoint.host
        # Plain even for TLS, which begins behind it: its own https would let nobody end a handshake.
        self._http = urllib3.connection.HTTPConnection(self._host, url.endpoint.port)
        self._socket: TimedSocket | None = None

    def post(self, path: str, body: bytes, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        """Post once and return the answer, by `deadline_ns` of the monotonic clock. Raises one of ERRORS.

        Only to connect may take longer: each address of the host name has until the deadline, and names are looked up
        as long as the system's resolver does. `is_reusable` tells afterwards whether the connection can post again.
        """
        self.is_reusable = False
        connected = self._connect(deadline_ns) if self._socket is None else self._socket
        connected.begin_call(deadline_ns)
        is_sent = self._send(path, body, headers)
        response = self._http.getresponse()
        connected.begin_body()
        content, is_whole = _read_body(response)
        # A final answer may follow an interim one that http.client passes on (103), and would be taken for the next.
        is_final = response.status >= _MIN_FINAL_STATUS
        self.is_reusable = is_sent and is_whole and is_final and self._http.sock is not None
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            content = b""  # not asked for, and unpacking it would need a bound of its own
        return HttpAnswer(
            response.status,
            response.headers.get("content-type", "").partition(";")[0].strip().lower(),
            content,
            response.headers.get("retry-after"),
            response.headers.get("date"),
        )

    def is_alive(self) -> bool:
        """Tell whether the peer has kept an idle connection open; one that has something to read has not."""
        return self._http.is_connected

    def cut(self) -> None:
        """End the post that another thread waits for."""
        self._is_cut = True
        if self._socket is not None:
            self._socket.cut()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _connect(self, deadline_ns: int) -> TimedSocket:
        self._http.timeout = max(1, deadline_ns - time.monotonic_ns()) / 1e9
        self._http.connect()
        raw = self._http.sock
        assert raw is not None
        if self.context is not None:
            name = self._host.rstrip(".")
            raw = self.context.wrap_socket(raw, server_hostname=name, do_handshake_on_connect=False)
        connected = TimedSocket(raw)
        self._http.sock = connected  # all that http.client uses of a socket
        self._socket = connected
        if self._is_cut:
            raise ConnectionAbortedError("cut while it was connecting")
        connected.begin_call(deadline_ns)
        if self.context is not None:
            connected.do_handshake()
        return connected

    def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> bool:
        # A peer that refuses a request may answer and hang up before it has read everything: its answer counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._http.request("POST", path, body, headers, preload_content=False, decode_content=False)
            return True
        return False


def describe_error(error: Exception) -> str:
    """Return what one of ERRORS means, in a few words."""
    cause = error.__cause__ if isinstance(error, urllib3.exceptions.NewConnectionError) else error
    if is_timeout(error):
        return "no answer in time"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS: {cause.reason or cause.strerror}"
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    return f"its answer is not HTTP/1.1 ({type(error).__name__})"


def is_timeout(error: Exception) -> bool:
    """Tell whether one of ERRORS means that time was over."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        # A kind of ConnectTimeoutError, for compatibility alone.
        return isinstance(error.__cause__, TimeoutError)
    return isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)


def _read_body(response: urllib3.response.BaseHTTPResponse) -> tuple[bytes, bool]:
    """Return the body's bytes up to MAX_RESPONSE_BYTES, and whether that is all of it."""
    content = bytearray()
    # The status is there, so what breaks off or does not end is still an answer.
    with contextlib.suppress(*ERRORS):
        while len(content) <= MAX_RESPONSE_BYTES:
            part = response.read1(_READ_BYTES)
            if not part:
                return bytes(content), True
            content += part
    response.close()
    return bytes(content[:MAX_RESPONSE_BYTES]), False
