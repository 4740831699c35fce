"""A small shop in three services, instrumented by hand: `frontend` asks `cart` and `catalog`, through its sidecar.

Runs as `python -m testbed.application`, configured by OpenTelemetry's own environment variables.
"""

import json
import os
import signal
import sys
import threading
from hashlib import pbkdf2_hmac
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from testbed.deadline import pause
from testbed.telemetry import start_telemetry
from testbed.topology import APPLICATION_PORT, READY_LINE, SIDECAR_OUTBOUND_PORT

ADDRESS = "127.0.0.1"
"""The sidecar alone is to be reached from outside the pod."""

CALLS = {"/checkout": ("cart", "catalog"), "/cart": (), "/catalog": ()}
"""Each path and the services that it asks, in this order."""

WORK_ROUNDS = 4000
"""Some 2 ms on a core of the 2020s: work that shows in a trace beside hops of tens of microseconds."""

CALL_TIMEOUT_S = 5.0

MAX_DELAY_MS = 1000
"""Below CALL_TIMEOUT_S, whoever asks."""

SLOW_CLIENT = "client"
"""Baggage `delay_ms.client` is how long a service dawdles inside its CLIENT span before it asks, `delay_ms.cart` how
long that service takes more to answer: a request may so name who shall be slow."""

_tracer = trace.get_tracer("shop")
_connections = threading.local()


class ShopServer(ThreadingHTTPServer):
    """Lets many users connect at once: with the default of 5 some wait for a second, until TCP asks again."""

    request_queue_size = 128
    daemon_threads = True


class ShopHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests; each connection has a thread."""

    protocol_version = "HTTP/1.1"  # keep-alive
    wbufsize = -1  # one write for head and body, or Nagle holds the body until the head is acknowledged
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parent = propagate.extract({name.lower(): value for name, value in self.headers.items()})
        token = context.attach(parent)  # its baggage, too, is to be there for whoever is asked
        try:
            status, body = self._serve()
        finally:
            context.detach(token)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Answer with the body that came."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or "0"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Print nothing per request: it would cost more than the request."""

    def _serve(self) -> tuple[int, bytes]:
        route = self.path if self.path in CALLS else "/"
        attributes = {"http.request.method": "GET", "url.path": self.path, "http.route": route}
        with _tracer.start_as_current_span(f"GET {route}", kind=SpanKind.SERVER, attributes=attributes) as span:
            status, answer = self._answer()
            span.set_attribute("http.response.status_code", status)
        return status, json.dumps(answer).encode()

    def _answer(self) -> tuple[int, dict[str, object]]:
        services = CALLS.get(self.path)
        if services is None:
            return 404, {"error": "no such path"}
        if not services:
            dawdle(self.path.removeprefix("/"))
            pbkdf2_hmac("sha256", b"shop", b"salt", WORK_ROUNDS)
            return 200, {"service": self.path.removeprefix("/"), "client": self.client_address[0]}
        try:
            return 200, {service: call_service(service) for service in services}
        except (OSError, HTTPException, ValueError) as error:
            return 502, {"error": str(error)}


def dawdle(who: str) -> None:
    """Wait as long as the request's baggage says of `who`."""
    delay_ms = str(baggage.get_baggage(f"delay_ms.{who}") or "0")
    if delay_ms.isascii() and delay_ms.isdigit() and delay_ms != "0":
        pause(min(int(delay_ms), MAX_DELAY_MS) / 1000)


def call_service(service: str) -> object:
    """Ask a service through the sidecar and return its answer. Raises OSError, HTTPException or ValueError."""
    path = f"/{service}"
    attributes = {"http.request.method": "GET", "server.address": service, "url.path": path}
    with _tracer.start_as_current_span(f"GET {service}", kind=SpanKind.CLIENT, attributes=attributes) as span:
        headers = {"Host": service}
        propagate.inject(headers)
        dawdle(SLOW_CLIENT)
        status, body = _exchange(path, headers)
        span.set_attribute("http.response.status_code", status)
        if status != 200:  # noqa: PLR2004 - HTTP's own number
            span.set_status(Status(StatusCode.ERROR))
            raise OSError(f"{service} answered {status}")
        return json.loads(body)


def _exchange(path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a request over this thread's connection to the sidecar, which persists unless it fails."""
    if not hasattr(_connections, "sidecar"):
        _connections.sidecar = HTTPConnection(ADDRESS, SIDECAR_OUTBOUND_PORT, timeout=CALL_TIMEOUT_S)
    connection: HTTPConnection = _connections.sidecar
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException):
        connection.close()
        raise


def main() -> int:
    """Serve until SIGTERM, then flush the spans."""
    stop_telemetry = start_telemetry()
    server = ShopServer((ADDRESS, APPLICATION_PORT), ShopHandler)
    # shutdown() waits for serve_forever(), which the signal has interrupted in this very thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(f"{READY_LINE}: {os.environ.get('OTEL_SERVICE_NAME', '')} on {ADDRESS}:{APPLICATION_PORT}\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    stop_telemetry()
    return 0


if __name__ == "__main__":
    sys.exit(main())
