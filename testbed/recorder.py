"""Receives OTLP over gRPC and keeps the spans, for tests and dry runs: it stands where collector-plugin would.

The only module of the testbed that reads OTLP's messages.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Condition
from types import TracebackType
from typing import Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from testbed.errors import TestbedError
from testbed.topology import PLUGIN_ENDPOINT

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_THREADS = 4
_STOP_GRACE_S = 1.0


@dataclass(frozen=True)
class RecordedSpan:
    """A received span: trace id (16 bytes), span id (8), parent id (8, empty at the root), times in epoch ns."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: str
    start_ns: int
    end_ns: int
    scope: str
    attributes: dict[str, str]
    resource: dict[str, str]

    @property
    def service(self) -> str:
        return self.resource.get("service.name", "")


class BlockServer:
    """A gRPC server that runs within its block."""

    def __init__(self, server: grpc.Server) -> None:
        self._server = server

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(_STOP_GRACE_S).wait()


class Recorder(BlockServer):
    """An OTLP server that answers success and keeps every span, until its block ends."""

    def __init__(self, endpoint: str = PLUGIN_ENDPOINT) -> None:
        self._spans: list[RecordedSpan] = []
        self._changed = Condition()
        server = grpc.server(ThreadPoolExecutor(_THREADS))
        super().__init__(server)
        export = grpc.unary_unary_rpc_method_handler(
            self._keep_spans,
            request_deserializer=ExportTraceServiceRequest.FromString,
            response_serializer=ExportTraceServiceResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, {"Export": export})])
        try:
            server.add_insecure_port(endpoint)
        except RuntimeError as error:
            raise TestbedError(f"recorder: cannot listen on {endpoint}: {error}") from error

    @property
    def spans(self) -> list[RecordedSpan]:
        with self._changed:
            return list(self._spans)

    def wait_for(
        self, is_enough: Callable[[Sequence[RecordedSpan]], bool], timeout_s: float = 10.0
    ) -> list[RecordedSpan]:
        """Wait until the function is satisfied with the spans and return them. Raises TestbedError."""
        with self._changed:
            if not self._changed.wait_for(lambda: is_enough(self._spans), timeout_s):
                names = ", ".join(f"{span.service} {span.kind} {span.name}" for span in self._spans)
                raise TestbedError(f"recorder: not within {timeout_s} s; there is: {names or 'nothing'}")
            return list(self._spans)

    def _keep_spans(
        self, request: ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        spans = [span for group in request.resource_spans for span in _read_group(group)]
        with self._changed:
            self._spans += spans
            self._changed.notify_all()
        return ExportTraceServiceResponse()


def _read_group(group: ResourceSpans) -> list[RecordedSpan]:
    resource = _read_attributes(group.resource.attributes)
    return [
        RecordedSpan(
            trace_id=span.trace_id,
            span_id=span.span_id,
            parent_id=span.parent_span_id,
            name=span.name,
            kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            scope=scope.scope.name,
            attributes=_read_attributes(span.attributes),
            resource=resource,
        )
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _read_attributes(attributes: Sequence[KeyValue]) -> dict[str, str]:
    """Return attributes as text: what a reader of a test compares, whatever their type."""
    return {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value")) for pair in attributes
    }
