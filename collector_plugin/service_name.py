"""Reads the service's name from the bytes of a resource, as parents are remembered with it.

Pure. What cannot be read, or names no service, is called what OpenTelemetry's SDKs call it: unknown_service.
"""

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

UNKNOWN_SERVICE = "unknown_service"

MAX_RESOURCE_BYTES = 64 << 10
"""A resource that is longer is not read: SDKs stop at 128 attributes, and a request may have 16 MiB of them."""


def read_service_name(resource: bytes) -> str:
    """Return `service.name` of the resource in `resource`, which holds fields of a ResourceSpans."""
    if len(resource) > MAX_RESOURCE_BYTES:
        return UNKNOWN_SERVICE
    try:
        message = ResourceSpans.FromString(resource)
    except DecodeError:
        return UNKNOWN_SERVICE
    for attribute in message.resource.attributes:
        if attribute.key == "service.name":
            return attribute.value.string_value or UNKNOWN_SERVICE
    return UNKNOWN_SERVICE
