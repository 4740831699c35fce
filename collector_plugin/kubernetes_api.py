"""Asks the API server of Kubernetes: lists in pages, and watches line by line, over one connection. Edge.

By our own connection, not by a client library: the lightest one asks for no bookmarks, which tell how far what is
known can be trusted, and all take ten times the CPU time for a pod and more (docs/kubernetes-names.md has figures).
"""

import enum
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from collector_plugin.kubernetes_objects import JSON_ERRORS
from collector_plugin.kubernetes_settings import ACCOUNT_DIRECTORY, AuthType, KubernetesSettings
from hopspan.errors import HopspanError
from hopspan.header_secrets import blot_out
from hopspan.http_answer import HttpAnswer, read_retry_after_ns
from hopspan.http_answer_reader import AnswerTooLargeError
from hopspan.http_connection import ERRORS, describe_error
from hopspan.http_get import GetConnection
from hopspan.http_url import HttpUrl
from hopspan.tls_context import open_client_context
from hopspan.token_file import TokenFile
from hopspan.user_agent import USER_AGENT
from hopspan.values import Endpoint

MAX_ANSWER_BYTES = 8 << 20
"""Of a page, or of what waits of a watch: pods have some 10 KiB, and never more than etcd's 1.5 MiB."""

TIMEOUT_NS = 30 * 10**9
"""Of a page, as long as the API server may take for it; and of a watch until its answer begins."""

_OK, _UNAUTHORIZED, _FORBIDDEN, _GONE = 200, 401, 403, 410


class Result(enum.StrEnum):
    """How a request can end; metric labels."""

    OK = "ok"
    DENIED = "denied"
    GONE = "gone"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    GARBAGE = "garbage"
    TOO_LARGE = "too_large"
    CREDENTIALS = "credentials"


class ApiError(Exception):
    """A request without the answer that was asked for; the text may be logged."""

    def __init__(self, result: Result, text: str, retry_after_ns: int | None = None) -> None:
        """`retry_after_ns` is what the API server asked for."""
        super().__init__(text)
        self.result = result
        self.retry_after_ns = retry_after_ns


class _Status(msgspec.Struct, frozen=True):
    message: str = ""


class KubernetesApi:
    """A way to the API server, for one thread; any other may close it."""

    def __init__(self, settings: KubernetesSettings, environment: Mapping[str, str] = os.environ) -> None:
        """Prepare; it connects with the first request. Raises HopspanError that names the key."""
        self._settings = settings
        self._url = settings.api_server or _find_own_server(environment)
        self._tls = settings.tls
        own = Path(ACCOUNT_DIRECTORY) / "ca.crt"
        if self._tls.ca_file is None and settings.auth_type is AuthType.SERVICE_ACCOUNT and own.exists():
            self._tls = msgspec.structs.replace(self._tls, ca_file=str(own))
        self._connection: GetConnection | None = None
        self._closed = False
        self._tokens: TokenFile | None = None
        self._token = ""
        """The one shown last, which no text may repeat."""

    def get(self, target: str) -> bytes:
        """Return the body of what `target`, path and query, names. Raises ApiError."""
        try:
            connection = self._begin(target)
            answer = connection.read_whole()
        except ERRORS as error:
            raise self._map_error(error) from error
        self._check(answer)
        return answer.body

    def begin_watch(self, target: str) -> None:
        """Ask for what `target` names, to be read line by line as it comes. Raises ApiError."""
        try:
            connection = self._begin(target)
            if connection.status != _OK:
                self._check(connection.read_whole())
        except ERRORS as error:
            raise self._map_error(error) from error

    def read_lines(self, first_ns: int, silence_ns: int) -> Iterator[bytes]:
        """Yield the lines as they come, until the API server ends the watch; an empty one once `first_ns` are over.

        Raises ApiError, also where nothing comes for `silence_ns`.
        """
        connection = self._connection
        assert connection is not None
        rest = b""
        first_until_ns: int | None = time.monotonic_ns() + first_ns
        try:
            while True:
                try:
                    piece = connection.read_piece(first_until_ns or time.monotonic_ns() + silence_ns)
                except TimeoutError:
                    if first_until_ns is None:
                        raise
                    first_until_ns = None
                    yield b""
                    continue
                if not piece:
                    return
                *lines, rest = (rest + piece).split(b"\n")
                yield from filter(None, lines)
                if len(rest) > MAX_ANSWER_BYTES:
                    raise AnswerTooLargeError(f"a line of more than {MAX_ANSWER_BYTES} bytes")
        except ERRORS as error:
            raise self._map_error(error) from error

    def drop(self) -> None:
        """Let go of the connection; the next request makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """End what another thread waits for; nothing can be asked any more."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            connection.cut()

    def _begin(self, target: str) -> GetConnection:
        head = self._compose_head(target)
        connection = self._connection
        if connection is None or not connection.is_reusable:
            self.drop()
            connection = self._connection = GetConnection(self._url.endpoint, self._open_context(), MAX_ANSWER_BYTES)
        if self._closed:
            raise ApiError(Result.UNREACHABLE, "closed")
        connection.begin(head, time.monotonic_ns() + TIMEOUT_NS)
        return connection

    def _compose_head(self, target: str) -> bytes:
        headers = {
            "Host": self._url.host_header,
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if self._settings.auth_type is AuthType.SERVICE_ACCOUNT:
            self._token = self._read_token()
            headers["Authorization"] = f"Bearer {self._token}"
        lines = [f"GET {self._url.path.rstrip('/')}{target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def _read_token(self) -> str:
        try:
            if self._tokens is None:
                self._tokens = TokenFile(Path(self._settings.bearer_token_file))
        except HopspanError as error:
            raise ApiError(Result.CREDENTIALS, str(error)) from error
        return self._tokens.read(time.monotonic_ns())[0]

    def _open_context(self) -> ssl.SSLContext | None:
        """Return a new one for each connection, so that a renewed file counts with the next."""
        try:
            return open_client_context(self._tls) if self._url.is_secure else None
        except HopspanError as error:
            raise ApiError(Result.CREDENTIALS, f"tls.{error}") from error

    def _check(self, answer: HttpAnswer) -> None:
        if answer.status == _OK:
            return
        try:
            text = msgspec.json.decode(answer.body, type=_Status).message
        except JSON_ERRORS:
            text = ""
        # Kubernetes names the user, the verb and the resource.
        message = f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
            result = Result.DENIED
        else:
            result = Result.GONE if answer.status == _GONE else Result.REFUSED
        raise ApiError(result, self._blot_out(message), read_retry_after_ns(answer, time.time_ns()))

    def _map_error(self, error: Exception) -> ApiError:
        self.drop()
        if isinstance(error, AnswerTooLargeError):
            result = Result.TOO_LARGE
        elif isinstance(error, TimeoutError):
            result = Result.TIMEOUT
        else:
            result = Result.UNREACHABLE if isinstance(error, OSError) else Result.GARBAGE
        return ApiError(result, self._blot_out(f"{self._url.endpoint}: {describe_error(error)}"))

    def _blot_out(self, text: str) -> str:
        return " ".join(blot_out(text, [self._token] if self._token else []).split())


def _find_own_server(environment: Mapping[str, str]) -> HttpUrl:
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not port.isdecimal():
        raise HopspanError("kubernetes.api_server: missing (KUBERNETES_SERVICE_HOST is not set, so this is no pod)")
    return HttpUrl("https", Endpoint(host, int(port)))
