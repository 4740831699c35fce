"""The service's name, read from the bytes of a resource."""

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from collector_plugin.otlp_walk import walk_request
from collector_plugin.service_name import MAX_RESOURCE_BYTES, UNKNOWN_SERVICE, read_service_name
from tests.collector_plugin.builders import make_attributes, make_request, make_resource_spans, make_span


def test_name_is_read_from_what_parents_are_remembered_with() -> None:
    """The walk hands over resource and schema URL as bytes."""
    (group,) = walk_request(make_request(make_resource_spans([make_span()], service="cart ü"))).application
    assert read_service_name(group.resource) == "cart ü"


@pytest.mark.parametrize(
    "values", [{}, {"service.name": ""}, {"host.name": "node-1"}, {"service.name": "n" * MAX_RESOURCE_BYTES}]
)
def test_resource_without_a_name_that_can_be_told(values: dict[str, str]) -> None:
    """None, an empty one, or one in a resource of no reasonable size."""
    message = ResourceSpans()
    message.resource.attributes.extend(make_attributes(values))
    assert read_service_name(message.SerializeToString()) == UNKNOWN_SERVICE


@pytest.mark.parametrize("resource", [b"", b"\x0a", b"\xff" * 9, b"resource"])
def test_any_bytes_have_a_name(resource: bytes) -> None:
    """What is no resource is none of ours to refuse."""
    assert read_service_name(resource) == UNKNOWN_SERVICE
