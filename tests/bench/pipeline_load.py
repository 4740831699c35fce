"""The load of a span pipeline: callers that send requests as fast as they are answered, or at a given rate.

Edge: sockets and threads of this process. Callers are blocking: each has at most one request under way.
"""

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import grpc

from hopspan.otlp_export import EXPORT_METHOD
from tests.bench.pipeline_cases import HOST, Ports, Protocol
from tests.bench.pipeline_requests import SPANS, Traffic
from tests.bench.pipeline_sinks import read_message

CALLERS = 16
TIMEOUT_S = 10.0
PAUSE_AFTER_REFUSAL_S = 0.01

Send = Callable[[bytes], None]
"""Returns once the request was answered with success. Raises RefusedError."""

_HEADS = {
    Protocol.OTLP_HTTP: ("/v1/traces", "application/x-protobuf"),
    Protocol.ZIPKIN: ("/api/v2/spans", "application/json"),
}

_CLOSES = re.compile(rb"^connection:\s*close\s*$", re.IGNORECASE | re.MULTILINE)


class RefusedError(Exception):
    """A request was not answered with success; the text says with what."""


@dataclass
class Sent:
    """What callers did."""

    spans: int = 0
    exchanges: int = 0
    """Whose four transits were sent, and their parent's span."""
    refused_spans: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    """Of requests of spans, from the time at which each was due to its answer, whatever that was."""
    refusals: set[str] = field(default_factory=set)

    def add(self, other: "Sent") -> None:
        self.spans += other.spans
        self.exchanges += other.exchanges
        self.refused_spans += other.refused_spans
        self.latencies_ns += other.latencies_ns
        self.refusals |= other.refusals


class Load:
    """Callers to one server."""

    def __init__(self, ports: Ports, protocol: Protocol, *, transits: bool) -> None:
        """Spans go over `protocol`; with `transits`, those of one span in a hundred go over OTLP/gRPC."""
        self._ports = ports
        self._protocol = protocol
        self._transits = transits
        self._traffic = Traffic(zipkin=protocol is Protocol.ZIPKIN)
        self._places = itertools.count()

    def run(self, seconds: float, rate: float | None = None) -> Sent:
        """Send for some seconds, `rate` requests of spans a second where one is given; return what was sent.

        Each caller sends one batch or more, and finishes what it has begun: no transit lacks its counterpart.
        """
        total, lock = Sent(), threading.Lock()
        step_s = CALLERS / rate if rate else 0.0

        def call(place: int, send: Send, send_transits: Send) -> None:
            sent = self._call_for(seconds, _Pace(step_s, place / CALLERS), send, send_transits)
            with lock:
                total.add(sent)

        with ExitStack() as stack:
            send_transits = stack.enter_context(_open_grpc(self._ports))
            threads = []
            for place in range(CALLERS):
                send = send_transits
                if self._protocol is not Protocol.OTLP_GRPC:
                    send = stack.enter_context(contextlib.closing(_HttpCaller(self._ports, self._protocol))).send
                threads.append(threading.Thread(target=call, args=(place, send, send_transits)))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return total

    def _call_for(self, seconds: float, pace: "_Pace", send: Send, send_transits: Send) -> Sent:
        sent, end_s = Sent(), time.monotonic() + seconds
        while not sent.latencies_ns or time.monotonic() < end_s:
            batch = self._traffic.make_batch(next(self._places))
            self._try_transits(batch.before, send_transits, sent)
            for number in batch.numbers:
                data = batch.spans(number)
                due_ns = pace.wait()
                is_sent = _attempt(send, data, sent)
                sent.latencies_ns.append(time.monotonic_ns() - due_ns)
                sent.spans += SPANS if is_sent else 0
                sent.refused_spans += 0 if is_sent else SPANS
            if self._try_transits(batch.after, send_transits, sent):
                sent.exchanges += len(batch.numbers)
        return sent

    def _try_transits(self, data: bytes, send: Send, sent: Sent) -> bool:
        return self._transits and _attempt(send, data, sent)


class _Pace:
    """When one caller's requests are due."""

    def __init__(self, step_s: float, share: float) -> None:
        """Requests are `step_s` apart, the first after `share` of that; 0: each is due at once."""
        self._step_ns = round(step_s * 1e9)
        self._next_ns = time.monotonic_ns() + round(share * self._step_ns)

    def wait(self) -> int:
        """Return the monotonic time at which the next request is due, once it is."""
        now_ns = time.monotonic_ns()
        if not self._step_ns:
            return now_ns
        due_ns = self._next_ns
        self._next_ns += self._step_ns
        if due_ns > now_ns:
            time.sleep((due_ns - now_ns) / 1e9)
        return due_ns


def _attempt(send: Send, data: bytes, sent: Sent) -> bool:
    try:
        send(data)
    except RefusedError as error:
        sent.refusals.add(str(error))
        time.sleep(PAUSE_AFTER_REFUSAL_S)
        return False
    return True


@contextmanager
def _open_grpc(ports: Ports) -> Iterator[Send]:
    target = f"{HOST}:{ports[Protocol.OTLP_GRPC]}"
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)

        def send(data: bytes) -> None:
            try:
                call(data, timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                raise RefusedError(f"OTLP/gRPC: {error}") from error

        yield send


class _HttpCaller:
    """Posts over one connection, which is opened anew where the server closes it, as the Collector's Zipkin does."""

    def __init__(self, ports: Ports, protocol: Protocol) -> None:
        path, content_type = _HEADS[protocol]
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {content_type}\r\nContent-Length: "
        self._head = head.encode()
        self._address = HOST, ports[protocol]
        self._connection: socket.socket | None = None

    def send(self, data: bytes) -> None:
        """Return once the answer has come. Raises RefusedError."""
        try:
            head = self._post(data)
        except OSError as error:
            self.close()
            raise RefusedError(f"HTTP: {error}") from error
        if not head or _CLOSES.search(head):
            self.close()
        # "HTTP/1.1 200 OK": RFC 9112, section 4.
        status = head.split(b" ", 2)[1] if head else b"nothing"
        if not status.startswith(b"2"):
            raise RefusedError(f"HTTP: {status.decode(errors='replace')}")

    def close(self) -> None:
        if self._connection is not None:
            self._answers.close()
            self._connection.close()
            self._connection = None

    def _post(self, data: bytes) -> bytes:
        """Return the answer's head, empty where there is none."""
        if self._connection is None:
            self._connection = socket.create_connection(self._address, timeout=TIMEOUT_S)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._answers = self._connection.makefile("rb")
        self._connection.sendall(b"%s%d\r\n\r\n%s" % (self._head, len(data), data))
        message = read_message(self._answers)
        return message[0] if message else b""
