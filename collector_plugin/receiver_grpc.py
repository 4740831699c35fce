"""The door to OTLP/gRPC clients: hands raw request bytes on, and answers with what became of them.

It thinks about nothing but the answer: which error of ours is which gRPC status, as OTLP has it.
"""

import errno
import socket
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, NoReturn

import grpc

from collector_plugin.admission import Admission, Reservation
from collector_plugin.bearer_auth import BearerTokens, open_tokens
from collector_plugin.config import GrpcProtocol
from collector_plugin.grpc_credentials import open_credentials
from collector_plugin.grpc_watch import ReadWatch
from collector_plugin.http_listener import find_connection_limit
from collector_plugin.otlp_walk import TooManySpansError
from hopspan.counters import Counters
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.protowire import WireError, write_integer, write_length
from hopspan.rpc_status import STATUS_KEY, write_status
from hopspan.values import Endpoint

HANDLER_THREADS = 2048
"""Requests under way at once. gRPC reads a message in the thread that handles it: a client that is slow to send one
holds a thread, and with few of them such clients would lock out all others. A waiting one costs some 50 KiB."""

MAX_CALLS = 2 * HANDLER_THREADS
"""Requests that are let in at once, those that wait for a thread among them. gRPC answers others with
RESOURCE_EXHAUSTED, after which OTLP's clients do not come again: so it is what no load but a flood leads to."""

MAX_STREAMS = 32
"""Requests that one connection may have under way: a Collector's exporter has ten. More wait at the client, where
they cost nothing; in a flood each that is taken costs a third of one that is delivered, be it in vain."""

NO_ROOM_RETRY_NS = 10**9
"""What a client is asked to wait when others' requests hold all the bytes that may be held."""

KEY = "receivers.otlp.protocols.grpc"

Accept = Callable[[bytes, Callable[[], bool], int], ExportResult]
"""(request, whether the client still waits, monotonic now) -> what the peer said."""


class GrpcReceiver:
    """A gRPC server with OTLP's trace service."""

    def __init__(
        self,
        settings: GrpcProtocol,
        accept: Accept,
        admission: Admission | None = None,
        read_stored_bytes: Callable[[], int] = int,
    ) -> None:
        """Listen, without serving yet. Raises HopspanError, with the key, where that cannot be.

        What requests hold is taken from `admission`, by default one of its own. `read_stored_bytes` is the watch's.
        """
        self._answers = Counters(grpc.StatusCode)
        self._has_served = False
        self._threads = futures.ThreadPoolExecutor(HANDLER_THREADS, thread_name_prefix="otlp")
        message_bytes = settings.max_recv_msg_size_mib << 20
        admission = admission or Admission()
        self.watch = ReadWatch(admission, message_bytes, read_stored_bytes)
        """The messages that are being read."""
        tokens = open_tokens(settings.auth, f"{KEY}.auth")
        service = _TraceService(accept, self._answers, self.watch, admission, tokens)
        self._server = grpc.server(
            self._threads,
            handlers=[service],
            maximum_concurrent_rpcs=MAX_CALLS,
            options=[
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
            address = str(settings.endpoint)
            if credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise HopspanError(f"{KEY}.endpoint: cannot listen on {settings.endpoint}") from error
        self.endpoint = Endpoint(settings.endpoint.host, port)
        """What is listened on: with the system's choice where the configured port is 0."""

    def count_answers(self) -> dict[str, int]:
        """Return how many requests were answered, by the name of the gRPC status."""
        return {code.name: count for code, count in self._answers.read().items()}

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
        self._server.stop(grace_s).wait()
        self._threads.shutdown(wait=False)


class _TraceService(grpc.GenericRpcHandler):
    """Raw bytes in, raw bytes out: requests keep the bytes that they came with."""

    def __init__(
        self,
        accept: Accept,
        answers: Counters[grpc.StatusCode],
        watch: ReadWatch,
        admission: Admission,
        tokens: BearerTokens | None,
    ) -> None:
        self._accept = accept
        self._answers = answers
        self._watch = watch
        self._admission = admission
        self._tokens = tokens
        # On the wire the same as a unary request; but here its handler is asked before the message is read.
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(self._export)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        # None: gRPC answers UNIMPLEMENTED.
        return self._handler if handler_call_details.method == EXPORT_METHOD else None

    def _export(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        self._require_token(context)
        request = self._read(messages, context)
        reservation = Reservation(self._admission)
        if not reservation.grow(len(request)):
            self._refuse_now(context, "too many requests are under way", NO_ROOM_RETRY_NS)
        try:
            return self._handle(request, context)
        finally:
            reservation.release()

    def _require_token(self, context: grpc.ServicerContext) -> None:
        if self._tokens is None:
            return
        values = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
        value = values[0] if len(values) == 1 else None
        if not self._tokens.is_allowed(value.encode() if isinstance(value, str) else value, time.monotonic_ns()):
            self._refuse(context, grpc.StatusCode.UNAUTHENTICATED, "a bearer token is required")

    def _read(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        number = self._watch.begin(context, time.monotonic_ns())
        if number is None:
            self._refuse_now(context, "messages that do not end take too much memory", NO_ROOM_RETRY_NS)
        try:
            request = next(messages, None)
        finally:
            was_ended = not self._watch.reads.finish(number)
        if was_ended or not context.is_active():
            self._refuse(context, grpc.StatusCode.CANCELLED, "the message was not sent to its end")
        if request is None:
            self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "no ExportTraceServiceRequest came")
        return request

    def _handle(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            result = self._accept(request, context.is_active, time.monotonic_ns())
        except TooManySpansError as error:
            self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except WireError as error:
            self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"not an ExportTraceServiceRequest: {error}")
        except RetryableExportError as error:
            self._refuse_now(context, str(error), error.retry_after_ns)
        except PermanentExportError as error:
            self._refuse(context, _find_code(error.code), str(error))
        self._answers.add(grpc.StatusCode.OK)
        return _write_response(result)

    def _refuse_now(self, context: grpc.ServicerContext, message: str, retry_after_ns: int | None) -> NoReturn:
        """Refuse what may succeed later."""
        if retry_after_ns is not None:
            status = write_status(grpc.StatusCode.UNAVAILABLE.value[0], message, retry_after_ns)
            context.set_trailing_metadata(((STATUS_KEY, status),))
        self._refuse(context, grpc.StatusCode.UNAVAILABLE, message)

    def _refuse(self, context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
        self._answers.add(code)
        context.abort(code, message)
        raise AssertionError("abort does not return")


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
