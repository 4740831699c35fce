"""An HTTP receiver on a real socket, whose requests end as the test says, and clients that send what it says."""

import contextlib
import http.client
import queue
import socket
import threading
from collections.abc import Callable, Iterator

import msgspec

from collector_plugin.admission import Admission
from collector_plugin.http_deadlines import Deadlines
from collector_plugin.http_services import SpanService, make_otlp_service, make_zipkin_service
from collector_plugin.http_settings import HttpServer, OtlpHttpProtocol, ZipkinReceiver
from collector_plugin.receiver_http import HttpReceiver
from hopspan.export_errors import ExportResult
from hopspan.protowire import read_fields, read_varint
from hopspan.values import Endpoint

DEADLINE_S = 20.0
ANY_PORT = Endpoint("localhost", 0)
KEY = "receivers.otlp.protocols.http"
OTLP_PATH = "/v1/traces"
ZIPKIN_PATH = "/api/v2/spans"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"

OTLP = OtlpHttpProtocol(endpoint=ANY_PORT, max_request_body_size_mib=1)
ZIPKIN = ZipkinReceiver(endpoint=ANY_PORT, max_request_body_size_mib=1)


class Reply(msgspec.Struct, frozen=True):
    """An answer as the client has it; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpBench:
    """A receiver, and what got in."""

    def __init__(
        self,
        settings: HttpServer = OTLP,
        *,
        budget_bytes: int = 64 << 20,
        deadlines: Deadlines | None = None,
        waits: bool = True,
    ) -> None:
        """Serve the protocol that the settings are of, and take everything."""
        self._waits = waits
        self.requests: queue.Queue[bytes] = queue.Queue()
        self.outcome: Callable[[Callable[[], bool]], ExportResult] = lambda _is_wanted: ExportResult()
        self.read: Callable[[bytes], bytes] = lambda data: b"read " + data
        self.admission = Admission(budget_bytes)
        self.receiver = HttpReceiver(settings, self._make_service(settings), self.admission, KEY, deadlines)
        self.receiver.start()
        self.port = self.receiver.endpoint.port

    def send(
        self,
        body: bytes = b"x",
        *,
        path: str = OTLP_PATH,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        content_type: str | None = PROTOBUF,
    ) -> Reply:
        """Send one request over a connection of its own; return its answer."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as client:
            return exchange(client, body, path, method, _with_type(headers, content_type))

    def talk(self, data: bytes) -> list[Reply]:
        """Send the bytes as they are, and the end; return the answers until the connection ends."""
        with self.connect() as connection:
            connection.sendall(data)
            return list(read_replies(connection))

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what the receiver does in its own time; fail after the deadline."""
        pause = threading.Event()
        for _ in range(int(DEADLINE_S / 0.02)):
            if is_so():
                return
            pause.wait(0.02)
        raise AssertionError("did not come about in time")

    def close(self) -> None:
        """End the receiver."""
        self.receiver.stop(0)

    def _make_service(self, settings: HttpServer) -> SpanService:
        make = make_zipkin_service if isinstance(settings, ZipkinReceiver) else make_otlp_service
        return make(self._accept, self._read, waits=self._waits)

    def _read(self, data: bytes) -> bytes:
        return self.read(data)

    def _accept(self, request: bytes, is_wanted: Callable[[], bool], _now_ns: int) -> ExportResult:
        self.requests.put(request)
        return self.outcome(is_wanted)


def exchange(
    client: http.client.HTTPConnection, body: bytes, path: str, method: str, headers: dict[str, str]
) -> Reply:
    """Send a request over the client's connection; return the answer."""
    client.request(method, path, body, headers)
    response = client.getresponse()
    return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def read_code(body: bytes) -> int:
    """Return the code of a google.rpc.Status in protobuf."""
    fields = {number: (start, end) for number, _, _, start, end in read_fields(body, 0, len(body))}
    return read_varint(body, *fields[1])[0]


def write_post(body: bytes, *lines: str, path: str = OTLP_PATH, content_type: str = PROTOBUF) -> bytes:
    """Return a request with these further header lines."""
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", *lines]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def read_replies(connection: socket.socket) -> Iterator[Reply]:
    """Yield the answers that come until the connection ends."""
    with connection.makefile("rb") as file:
        while line := file.readline():
            headers = {}
            while (header := file.readline()) not in (b"\r\n", b""):
                name, _, value = header.decode().partition(":")
                headers[name.strip().lower()] = value.strip()
            yield Reply(int(line.split()[1]), headers, file.read(int(headers.get("content-length", "0"))))


def _with_type(headers: dict[str, str] | None, content_type: str | None) -> dict[str, str]:
    return {**({"Content-Type": content_type} if content_type is not None else {}), **(headers or {})}
