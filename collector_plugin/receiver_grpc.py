"""The door to OTLP/gRPC clients: hands raw request bytes on, and answers with what became of them.

It thinks about nothing but the answer: which error of ours is which gRPC status, as OTLP has it.
"""

import errno
import socket
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any, NoReturn

import grpc

from collector_plugin.config import GrpcProtocol
from collector_plugin.otlp_walk import TooManySpansError
from hopspan.counters import Counters
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.protowire import WireError, write_integer, write_length
from hopspan.rpc_status import STATUS_KEY, write_status
from hopspan.values import Endpoint

HANDLER_THREADS = 64
"""Requests handled at once: each waits for its delivery, so it takes many to merge; a thread costs some 50 KiB."""

MAX_STREAMS = 256
"""Requests that one connection may have under way: a Collector's exporter has ten."""

ENDPOINT_KEY = "receivers.otlp.protocols.grpc.endpoint"

Accept = Callable[[bytes, Callable[[], bool], int], ExportResult]
"""(request, whether the client still waits, monotonic now) -> what the peer said."""


class GrpcReceiver:
    """A gRPC server with OTLP's trace service."""

    def __init__(self, settings: GrpcProtocol, accept: Accept) -> None:
        """Listen, without serving yet. Raises HopspanError where the endpoint cannot be listened on."""
        self._answers = Counters(grpc.StatusCode)
        self._threads = futures.ThreadPoolExecutor(HANDLER_THREADS, thread_name_prefix="otlp")
        self._server = grpc.server(
            self._threads,
            handlers=[_TraceService(accept, self._answers)],
            options=[
                ("grpc.max_receive_message_length", settings.max_recv_msg_size_mib << 20),
                ("grpc.max_concurrent_streams", MAX_STREAMS),
                # Else a second plugin on the port would silently take half of the connections.
                ("grpc.so_reuseport", 0),
            ],
        )
        _require_free(settings.endpoint)
        try:
            port = self._server.add_insecure_port(str(settings.endpoint))
        except RuntimeError as error:
            raise HopspanError(f"{ENDPOINT_KEY}: cannot listen on {settings.endpoint}") from error
        self.endpoint = Endpoint(settings.endpoint.host, port)
        """What is listened on: with the system's choice where the configured port is 0."""

    def count_answers(self) -> dict[str, int]:
        """Return how many requests were answered, by the name of the gRPC status."""
        return {code.name: count for code, count in self._answers.read().items()}

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()

    def stop(self, grace_s: float) -> None:
        """Take no more requests, and wait up to `grace_s` for those under way; what is left is cancelled."""
        self._server.stop(grace_s).wait()
        self._threads.shutdown(wait=False)


class _TraceService(grpc.GenericRpcHandler):
    """Raw bytes in, raw bytes out: requests keep the bytes that they came with."""

    def __init__(self, accept: Accept, answers: Counters[grpc.StatusCode]) -> None:
        self._accept = accept
        self._answers = answers
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._export)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        # None: gRPC answers UNIMPLEMENTED.
        return self._handler if handler_call_details.method == EXPORT_METHOD else None

    def _export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            result = self._accept(request, context.is_active, time.monotonic_ns())
        except TooManySpansError as error:
            self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except WireError as error:
            self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"not an ExportTraceServiceRequest: {error}")
        except RetryableExportError as error:
            if error.retry_after_ns is not None:
                code = grpc.StatusCode.UNAVAILABLE.value[0]
                status = write_status(code, error.message, error.retry_after_ns)
                context.set_trailing_metadata(((STATUS_KEY, status),))
            self._refuse(context, grpc.StatusCode.UNAVAILABLE, str(error))
        except PermanentExportError as error:
            self._refuse(context, _find_code(error.code), str(error))
        self._answers.add(grpc.StatusCode.OK)
        return _write_response(result)

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
        raise HopspanError(f"{ENDPOINT_KEY}: cannot listen on {endpoint}: {error.strerror}") from error
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen(1)
        except OSError as error:
            # Others, such as a kernel without IPv6, leave at least one address, or gRPC will say so.
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise HopspanError(f"{ENDPOINT_KEY}: cannot listen on {endpoint}: {error.strerror}") from error


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
