"""An OTLP/gRPC server that keeps the bytes it gets, and may hand them on: a backend, or a tap before the plugin.

Reads spans by OTLP's own messages and finds ResourceSpans by a walk of its own: nothing of the product is used.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Condition
from types import TracebackType
from typing import Any

import grpc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from testbed.recorder import BlockServer

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TIMEOUT_S = 60.0
NETWORK_SCOPE = "hopspan"

Value = str | int | float | bool | bytes | tuple[Any, ...]


@dataclass(frozen=True)
class Received:
    """A span with what stood around it; of its ResourceSpans the fields `resource` and `schema_url` as they came."""

    span: Span
    scope: str
    resource: tuple[tuple[int, bytes], ...]
    service: str
    attributes: dict[str, Value]

    @property
    def is_network(self) -> bool:
        return self.scope == NETWORK_SCOPE

    @property
    def ends(self) -> tuple[int, int]:
        """Return start and end, epoch ns."""
        return self.span.start_time_unix_nano, self.span.end_time_unix_nano


class OtlpPeer(BlockServer, grpc.GenericRpcHandler):
    """The server, within its block. `endpoint` has the port that it listens on."""

    def __init__(self, endpoint: str = "127.0.0.1:0", forward_to: str | None = None) -> None:
        self._groups: list[bytes] = []
        self._changed = Condition()
        self._next = None if forward_to is None else grpc.insecure_channel(forward_to)
        self._handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._export)
        server = grpc.server(ThreadPoolExecutor(8), handlers=[self], options=[("grpc.so_reuseport", 0)])
        super().__init__(server)
        host = endpoint.rpartition(":")[0]
        self.endpoint = f"{host}:{server.add_insecure_port(endpoint)}"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler if handler_call_details.method == EXPORT else None

    @property
    def groups(self) -> list[bytes]:
        """Return the bytes of every ResourceSpans that came."""
        with self._changed:
            return list(self._groups)

    def count_groups(self) -> int:
        """Return how many of them came, without a look at any."""
        with self._changed:
            return len(self._groups)

    def wait_until_quiet(self, quiet_s: float, timeout_s: float) -> None:
        """Wait until nothing has come for so long."""
        deadline, seen = time.monotonic() + timeout_s, -1
        with self._changed:
            while len(self._groups) != seen:
                assert time.monotonic() < deadline, f"spans go on to come after {timeout_s} s"
                seen = len(self._groups)
                self._changed.wait_for(partial(self._has_more_than, seen), quiet_s)

    def _has_more_than(self, count: int) -> bool:
        return len(self._groups) > count

    @property
    def spans(self) -> list[Received]:
        return [span for group in self.groups for span in read_group(group)]

    def wait_for(self, is_enough: Callable[[list[Received]], bool], timeout_s: float = TIMEOUT_S) -> list[Received]:
        """Wait until the function is satisfied with the spans, and return them."""
        with self._changed:
            enough = self._changed.wait_for(lambda: is_enough(self.spans), timeout_s)
        spans = self.spans
        network = sum(span.is_network for span in spans)
        assert enough, f"not within {timeout_s} s: {len(spans) - network} application and {network} network spans"
        return spans

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._next is not None:
            self._next.close()

    def _export(self, request: bytes, _context: grpc.ServicerContext) -> bytes:
        answer = b"" if self._next is None else call_export(self._next, request)
        with self._changed:
            self._groups += [value for number, value in split_fields(request) if number == 1]
            self._changed.notify_all()
        return answer


def call_export(channel: grpc.Channel, request: bytes) -> bytes:
    """Deliver the bytes of an ExportTraceServiceRequest, waiting for a peer that is about to come."""
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(EXPORT)
    return bytes(call(request, timeout=TIMEOUT_S, wait_for_ready=True))


def send_request(endpoint: str, request: bytes) -> bytes:
    """Deliver the bytes of an ExportTraceServiceRequest over a connection of their own."""
    with grpc.insecure_channel(endpoint) as channel:
        return call_export(channel, request)


def split_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and value of the length-delimited fields of a protobuf message, and pass over the others."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        if tag & 7 == 0:
            _, position = _read_varint(message, position)
            continue
        size, position = _read_varint(message, position) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], position)
        if tag & 7 == 2:
            yield tag >> 3, message[position : position + size]
        position += size


def read_group(group: bytes) -> Iterator[Received]:
    """Yield the spans of a ResourceSpans."""
    message = ResourceSpans.FromString(group)
    resource = tuple((number, value) for number, value in split_fields(group) if number in {1, 3})
    service = next((a.value.string_value for a in message.resource.attributes if a.key == "service.name"), "")
    for scope in message.scope_spans:
        for span in scope.spans:
            attributes = {pair.key: _read_value(pair.value) for pair in span.attributes}
            yield Received(span, scope.scope.name, resource, service, attributes)


def _read_value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_read_value(item) for item in value.array_value.values)
    result: Value = getattr(value, kind) if kind else ""
    return result


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while message[position] >= 0x80:
        value |= (message[position] & 0x7F) << shift
        shift += 7
        position += 1
    return value | message[position] << shift, position + 1
