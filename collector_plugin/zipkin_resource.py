"""The OTLP resource of a Zipkin endpoint: the service's name alone, for Zipkin has no more.

Pure. The walk and the conversion share it, so that network spans lie on the very resource of their parents.
"""

from hopspan.protowire import write_length

SERVICE_NAME = "service.name"


def encode_resource(service: str) -> bytes:
    """Return the fields of a ResourceSpans that name the service; without a name none."""
    if not service:
        return b""
    # ResourceSpans.resource 1, Resource.attributes 1, KeyValue key 1 and value 2, AnyValue.string_value 1.
    pair = write_length(1, SERVICE_NAME.encode()) + write_length(2, write_length(1, service.encode()))
    return write_length(1, write_length(1, pair))
