"""Takes a request apart with the protobuf library, since the plugin's reader wants a ResourceSpans."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def read_resource_spans(request: bytes) -> bytes:
    """Return the bytes of the one ResourceSpans of an ExportTraceServiceRequest."""
    (message,) = ExportTraceServiceRequest.FromString(request).resource_spans
    data: bytes = message.SerializeToString()
    return data
