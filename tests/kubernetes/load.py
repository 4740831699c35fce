"""Sends spans without pause, as an application's SDK does: what is not taken is sent again.

Edge: speaks gRPC, in a thread of its own.
"""

import secrets
import threading
import time
from types import TracebackType
from typing import Self

import grpc

from hopspan.otlp_export import EXPORT_METHOD
from tests.collector_plugin.builders import make_request, make_resource_spans, make_span

SERVICE = "load"
TIMEOUT_S = 10.0
"""The default of the SDKs."""

_RETRIED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
"""Those of OTLP that a client in this state can get."""

_PAUSE_S = 0.02


class Load:
    """A sender that runs within its block, one span of a trace of its own after the other."""

    def __init__(self, endpoint: str) -> None:
        self.taken: list[str] = []
        """Trace ids of all spans that were acknowledged, as hex."""
        self.retries = 0
        self._endpoint = endpoint
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, once the last span is acknowledged."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with grpc.insecure_channel(self._endpoint) as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT_METHOD)
            while not self._stopped.wait(_PAUSE_S):
                self._send(call, secrets.token_bytes(16))

    def _send(self, call: "grpc.UnaryUnaryMultiCallable[bytes, bytes]", trace_id: bytes) -> None:
        span = make_span(trace_id, trace_id[:8], start_ns=time.time_ns(), end_ns=time.time_ns() + 1)
        request = make_request(make_resource_spans([span], service=SERVICE))
        while True:
            try:
                call(request, timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                if error.code() not in _RETRIED:
                    raise
                self.retries += 1
                self._stopped.wait(_PAUSE_S)
            else:
                self.taken.append(trace_id.hex())
                return
