"""Sends the application's spans to the plugin by OTLP gRPC.

The only module that imports the OpenTelemetry SDK; its own environment variables configure it.
"""

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SCHEDULE_DELAY_MS = 200
"""A demo's trace is to be there at once; the SDK's default is 5 s."""

EXPORT_TIMEOUT_S = 2.0
"""Bounds the wait at the end where nobody takes the spans."""


def start_telemetry() -> Callable[[], None]:
    """Start the export of spans and return what flushes and stops it.

    Read are OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_ENDPOINT.
    """
    provider = TracerProvider()
    exporter = OTLPSpanExporter(insecure=True, timeout=EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SCHEDULE_DELAY_MS))
    trace.set_tracer_provider(provider)
    return provider.shutdown
