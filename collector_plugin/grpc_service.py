"""OTLP's trace service over gRPC: lets calls in, has their messages read, and answers with what became of them.

It thinks about nothing but the answer: which error of ours is which gRPC status, as OTLP has it. Calls are begun and
messages taken by the server's one thread, which waits for nobody: what waits for a peer is handled by another.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable
from concurrent import futures

import grpc
import msgspec

from collector_plugin.admission import Admission, Reservation
from collector_plugin.bearer_auth import BearerTokens
from collector_plugin.grpc_calls import ServerCall
from collector_plugin.grpc_claims import ClaimsService
from collector_plugin.grpc_watch import ReadWatch
from collector_plugin.otlp_walk import TooManySpansError
from hopspan.counters import Counters
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.flow_claims import WATCH_METHOD
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.protowire import WireError, write_integer, write_length
from hopspan.rpc_status import STATUS_KEY, write_status

HANDLER_THREADS = 256
"""Requests that wait for their delivery at once: it takes many to merge."""

MAX_CALLS = 4096
"""Requests that wait for a thread or in one. Others are refused."""

QUICK_BYTES = 128 << 10
"""Of a message that waits for no peer, and is handled by the server's thread: at most a millisecond's work."""

NO_ROOM_RETRY_NS = 10**9
"""What a client is asked to wait when others' requests hold all the bytes that may be held."""

MAX_WAIT_NS = 10**9
"""How long a call waits for memory before its message is read: for the others, which are there in milliseconds."""

MAX_POSTPONED = 32
"""Calls that wait so. Others are refused."""

Accept = Callable[[bytes, Callable[[], bool], int], ExportResult]
"""(request, whether the client still waits, monotonic now) -> what the peer said."""

Begin = Callable[[bytes, Callable[[], bool], int, Callable[[ExportResult | Exception], None]], None]
"""The same without waiting: what Accept returns or raises is handed to the last argument, in any thread."""


class Taker(msgspec.Struct, frozen=True):
    """What takes requests."""

    accept: Accept
    waits: bool = True
    """Whether `accept` waits for a peer."""
    begin: Begin | None = None
    """What need not wait, where there is such a thing."""


class TraceService:
    """Raw bytes in, raw bytes out: requests keep the bytes that they came with."""

    def __init__(
        self,
        taker: Taker,
        watch: ReadWatch,
        admission: Admission,
        tokens: BearerTokens | None,
        claims: ClaimsService | None = None,
    ) -> None:
        """Hand requests to `taker`, and agents that ask for claims to `claims`. `tokens` are what clients show."""
        self.answers = Counters(grpc.StatusCode)
        self._taker = taker
        self._watch = watch
        self._admission = admission
        self._tokens = tokens
        self._claims = claims
        self._threads = futures.ThreadPoolExecutor(HANDLER_THREADS, thread_name_prefix="otlp")
        self._handed_on = 0
        self._lock = threading.Lock()
        self._postponed: collections.deque[tuple[int, ServerCall]] = collections.deque()

    def begin(self, call: ServerCall) -> None:
        """Have the message of a call read that is let in."""
        if call.method != EXPORT_METHOD and not self._is_watch(call):
            call.refuse(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        elif not self._is_allowed(call):
            self._refuse(call, grpc.StatusCode.UNAUTHENTICATED, "a bearer token is required")
        else:
            self._read_or_postpone(call, time.monotonic_ns())

    def take(self, call: ServerCall, message: bytes | None) -> None:
        """Handle a message, or have it handled."""
        if not self._watch.reads.finish(call.number) or message is None:
            self._refuse(call, grpc.StatusCode.CANCELLED, "the message was not sent to its end")
            return
        if self._claims is not None and self._is_watch(call):
            self.answers.add(self._claims.open(call, message))
            return
        reservation = Reservation(self._admission)
        if not reservation.grow(len(message)) or self._handed_on >= MAX_CALLS:
            reservation.release()
            self._refuse_now(call, "too many requests are under way", NO_ROOM_RETRY_NS)
        elif len(message) > QUICK_BYTES or (self._taker.waits and self._taker.begin is None):
            self._hand_on(call)
            self._threads.submit(self._handle, call, message, reservation)
        elif self._taker.begin is not None:
            self._hand_on(call)
            self._begin(self._taker.begin, call, message, reservation)
        else:
            self._handle(call, message, reservation)

    def turn(self) -> bool:
        """Begin the messages that waited for memory, or refuse those that waited too long."""
        if self._postponed:
            now_ns = time.monotonic_ns()
            postponed, self._postponed = self._postponed, collections.deque()
            for until_ns, call in postponed:
                if self._watch.has_room:
                    self._read_or_postpone(call, now_ns)
                elif until_ns > now_ns:
                    self._postponed.append((until_ns, call))
                else:
                    self._refuse_for_memory(call)
        return bool(self._postponed)

    def end_streams(self) -> None:
        """End what would not end by itself."""
        if self._claims is not None:
            self._claims.claims.end()

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    def _is_watch(self, call: ServerCall) -> bool:
        return call.method == WATCH_METHOD and self._claims is not None

    def _is_allowed(self, call: ServerCall) -> bool:
        if self._tokens is None:
            return True
        values = [value for key, value in call.metadata if key == "authorization"]
        value = values[0] if len(values) == 1 else None
        return self._tokens.is_allowed(value.encode() if isinstance(value, str) else value, time.monotonic_ns())

    def _read_or_postpone(self, call: ServerCall, now_ns: int) -> None:
        number = self._watch.begin(call, now_ns)
        if number is not None:
            call.number = number
            call.read()
        elif not self._watch.is_offender(call) and len(self._postponed) < MAX_POSTPONED:
            self._postponed.append((now_ns + MAX_WAIT_NS, call))
        else:
            self._refuse_for_memory(call)

    def _hand_on(self, call: ServerCall) -> None:
        """Leave the call to another thread from now on."""
        call.watch()
        with self._lock:
            self._handed_on += 1

    def _begin(self, begin: Begin, call: ServerCall, message: bytes, reservation: Reservation) -> None:
        def done(outcome: ExportResult | Exception) -> None:
            self._end(call, reservation, outcome)

        try:
            begin(message, lambda: call.is_active, time.monotonic_ns(), done)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
            done(error)

    def _handle(self, call: ServerCall, message: bytes, reservation: Reservation) -> None:
        outcome: ExportResult | Exception
        try:
            outcome = self._taker.accept(message, lambda: call.is_active, time.monotonic_ns())
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
            outcome = error
        self._end(call, reservation, outcome)

    def _end(self, call: ServerCall, reservation: Reservation, outcome: ExportResult | Exception) -> None:
        """Answer a call, in whatever thread."""
        reservation.release()
        if call.is_watched:
            with self._lock:
                self._handed_on -= 1
        if isinstance(outcome, ExportResult):
            self.answers.add(grpc.StatusCode.OK)
            call.answer(_write_response(outcome))
        elif isinstance(outcome, TooManySpansError):
            self._refuse(call, grpc.StatusCode.RESOURCE_EXHAUSTED, str(outcome))
        elif isinstance(outcome, WireError):
            self._refuse(call, grpc.StatusCode.INVALID_ARGUMENT, f"not an ExportTraceServiceRequest: {outcome}")
        elif isinstance(outcome, RetryableExportError):
            self._refuse_now(call, str(outcome), outcome.retry_after_ns)
        elif isinstance(outcome, PermanentExportError):
            self._refuse(call, _find_code(outcome.code), str(outcome))
        else:
            # A fault of ours. By this way it reaches the log.
            logging.getLogger(__name__).error("a request could not be handled", exc_info=outcome)
            self._refuse(call, grpc.StatusCode.UNKNOWN, "the request could not be handled")

    def _refuse_for_memory(self, call: ServerCall) -> None:
        self._refuse_now(call, "messages that do not end take too much memory", NO_ROOM_RETRY_NS)

    def _refuse_now(self, call: ServerCall, message: str, retry_after_ns: int | None) -> None:
        """Refuse what may succeed later."""
        status: tuple[tuple[str, bytes], ...] = ()
        if retry_after_ns is not None:
            code = grpc.StatusCode.UNAVAILABLE.value[0]
            status = ((STATUS_KEY, write_status(code, message, retry_after_ns)),)
        self.answers.add(grpc.StatusCode.UNAVAILABLE)
        call.refuse(grpc.StatusCode.UNAVAILABLE, message, status)

    def _refuse(self, call: ServerCall, code: grpc.StatusCode, message: str) -> None:
        self.answers.add(code)
        call.refuse(code, message)


def _find_code(name: str) -> grpc.StatusCode:
    try:
        return grpc.StatusCode[name]
    except KeyError:
        return grpc.StatusCode.INTERNAL


def _write_response(result: ExportResult) -> bytes:
    """Return an ExportTraceServiceResponse (partial_success 1: rejected_spans 1, error_message 2)."""
    partial = write_integer(1, result.rejected_spans) if result.rejected_spans else b""
    if result.message:
        partial += write_length(2, result.message.encode())
    return write_length(1, partial) if partial else b""
