"""An OTLP/gRPC peer on a real socket, which records, refuses, stalls, throttles, and goes away and comes back."""

import queue
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc

from hopspan.otlp_export import EXPORT_METHOD
from hopspan.rpc_status import STATUS_KEY, write_status

DEADLINE_S = 20.0
"""How long a test waits for what must happen."""

Behaviour = Callable[[bytes, grpc.ServicerContext], bytes]


class GrpcPeer(grpc.GenericRpcHandler):
    """A peer; `behave` is called for each request and gives the answer, or aborts."""

    def __init__(self, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listen on localhost, with TLS where there are credentials."""
        self.received: queue.Queue[bytes] = queue.Queue()
        """Requests that were answered with success."""
        self.seen: queue.Queue[bytes] = queue.Queue()
        """All requests, when they arrive."""
        self.metadata: list[dict[str, str | bytes]] = []
        self.behave: Behaviour = lambda _request, _context: b""
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._export)
        self._server = grpc.server(
            futures.ThreadPoolExecutor(8),
            handlers=[self],
            options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
        )
        address = f"localhost:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Serve OTLP's trace service alone."""
        return self._handler if handler_call_details.method == EXPORT_METHOD else None

    def take(self) -> bytes:
        """Return the next request that was answered with success, once it is there."""
        return self.received.get(timeout=DEADLINE_S)

    def close(self) -> None:
        """Go away; what is under way is cut off."""
        self._server.stop(0).wait(DEADLINE_S)

    def _export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        self.seen.put(request)
        answer = self.behave(request, context)
        self.received.put(request)
        return answer


def refuse(code: grpc.StatusCode, message: str = "", retry_after_ns: int | None = None) -> Behaviour:
    """Return the behaviour of a peer that answers every request with `code`."""

    def behave(_request: bytes, context: grpc.ServicerContext) -> bytes:
        if retry_after_ns is not None:
            context.set_trailing_metadata(((STATUS_KEY, write_status(code.value[0], message, retry_after_ns)),))
        context.abort(code, message)
        raise AssertionError("abort does not return")

    return behave


def stall(until: threading.Event) -> Behaviour:
    """Return the behaviour of a peer that answers no request before `until` is set."""

    def behave(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        until.wait(DEADLINE_S)
        return b""

    return behave
