"""The plugin's own traces: a span for each request that it receives, and for each that it sends, if configured.

The only module that imports OpenTelemetry's SDK, and itself imported only where traces are on. Its spans wait in a
sending queue, so that what is lost is counted; and nothing is traced that holds own spans, or each would make others.
"""

from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from collector_plugin.config import OwnTraces as OwnTracesSettings
from collector_plugin.exporter import Exporter
from collector_plugin.http_services import Accept
from collector_plugin.outcomes import SendOutcome
from collector_plugin.report import Outlet
from collector_plugin.sending_queue import SendingQueue
from collector_plugin.span_request import SpanRequest
from hopspan.counters import Counters
from hopspan.errors import HopspanError
from hopspan.export_errors import ExportError, ExportResult
from hopspan.logs import Log
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.version import VERSION

KEY = "telemetry.traces"

SCOPE = "hopspan.collector_plugin"
"""Of all own spans; by these bytes requests that hold some are known, in protobuf and in JSON."""

_MARK = SCOPE.encode()


class OwnTraces:
    """What makes the spans, and the way that they go."""

    def __init__(self, settings: OwnTracesSettings, log: Log) -> None:
        """Prepare all; nothing is sent before `start`. Raises HopspanError that begins with the key."""
        try:
            self._exporter = OtlpGrpcExporter(settings)
        except HopspanError as error:
            raise HopspanError(f"{KEY}: {error}") from error
        outcomes = Counters(SendOutcome)
        self._is_started = False
        self._queue = SendingQueue(KEY, self._exporter, outcomes, log)
        self.reported = Outlet(KEY, "own", outcomes, lambda: self._queue.size_bytes)
        """What the report counts."""
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sampling_ratio)),
            resource=Resource({"service.name": "collector-plugin", "service.version": VERSION}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(_Outlet(self._queue))
        self._tracer = provider.get_tracer(SCOPE, VERSION)

    def trace_accept(self, receiver: str, transport: str, accept: Accept) -> Accept:
        """Return `accept` with a span around it, named as the Collector's."""
        name = f"receiver/{receiver}/TraceDataReceived"
        attributes = {"receiver": receiver, "transport": transport}

        def accept_traced(data: bytes, is_wanted: Callable[[], bool], now_ns: int) -> ExportResult:
            return self._trace(name, SpanKind.SERVER, attributes, data, lambda: accept(data, is_wanted, now_ns))

        return accept_traced

    def trace_exporter(self, name: str, exporter: Exporter) -> Exporter:
        """Return the exporter with a span around each attempt; that of several merged requests is the first one's."""
        return _TracedExporter(self, name, exporter)

    def trace_export(self, name: str, data: bytes, export: Callable[[], ExportResult]) -> ExportResult:
        """Return what `export`, which sends `data`, returns; with a span around it, named as the Collector's."""
        return self._trace(f"exporter/{name}/traces", SpanKind.CLIENT, {"exporter": name}, data, export)

    def start(self) -> None:
        """Start to send."""
        self._is_started = True
        self._queue.start()

    def close(self, deadline_ns: int) -> None:
        """Send what is left until `deadline_ns` of the monotonic clock; count the rest."""
        if self._is_started:
            self._queue.close(deadline_ns)
        self._exporter.close()
        if self._is_started:
            self._queue.join(1.0)

    def _trace(
        self, name: str, kind: SpanKind, attributes: dict[str, str], data: bytes, work: Callable[[], ExportResult]
    ) -> ExportResult:
        if _MARK in data:
            return work()
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            span.set_attribute("hopspan.request.bytes", len(data))
            try:
                result = work()
            except Exception as error:
                _tell_failure(span, error)
                raise
            if result.rejected_spans:
                span.set_attribute("hopspan.rejected_spans", result.rejected_spans)
            return result


class _TracedExporter:
    def __init__(self, traces: OwnTraces, name: str, exporter: Exporter) -> None:
        self._traces = traces
        self._name = name
        self._exporter = exporter

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:
        return self._traces.trace_export(self._name, request, lambda: self._exporter.export(request, timeout_ns))

    def close(self) -> None:
        self._exporter.close()


class _Outlet(SpanProcessor):
    """Hands each span that is to be kept to the queue, as a request."""

    def __init__(self, queue: SendingQueue) -> None:
        self._queue = queue

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            data = encode_spans([span]).SerializeToString()
            self._queue.offer(SpanRequest(data, 1))


def _tell_failure(span: Span, error: Exception) -> None:
    """Say what kind of error it was, and nothing of its text, which may repeat what a peer said."""
    kind = error.code if isinstance(error, ExportError) else type(error).__name__
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
