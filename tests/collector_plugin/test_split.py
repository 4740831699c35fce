"""A request that is too large is sent as several, and what arrives is what came."""

import json
import random

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector_plugin.span_request import SpanFormat, SpanRequest
from collector_plugin.split import split_request
from hopspan.protowire import WireError

Placed = tuple[bytes, str, bytes]
"""A span's resource, its scope's name, and its own bytes."""


def make_request(rng: random.Random, groups: int, spans: int) -> ExportTraceServiceRequest:
    """Return a request with groups of up to `spans` spans, some of them large."""
    request = ExportTraceServiceRequest()
    for number in range(groups):
        group = request.resource_spans.add(schema_url=f"https://example.com/{number}")
        group.resource.attributes.add(key="service.name").value.string_value = f"service-{number}"
        for scope_number in range(rng.randrange(1, 3)):
            scope = group.scope_spans.add()
            scope.scope.name = f"scope-{scope_number}"
            for _ in range(rng.randrange(spans + 1)):
                span = scope.spans.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8))
                span.attributes.add(key="k").value.string_value = "x" * rng.choice((0, 10, 300))
    return request


def list_placed(requests: list[bytes]) -> list[Placed]:
    """Return every span with where it stands, in order."""
    return [
        (group.resource.SerializeToString() + group.schema_url.encode(), scope.scope.name, span.SerializeToString())
        for data in requests
        for group in ExportTraceServiceRequest.FromString(data).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


@pytest.mark.parametrize("seed", range(20))
def test_every_span_arrives_once_where_it_stood(seed: int) -> None:
    """No part is larger than may be; resource, scope, order and bytes of each span stay."""
    rng = random.Random(seed)  # noqa: S311 - a test's chance
    data = make_request(rng, rng.randrange(1, 5), 30).SerializeToString()
    limit = rng.choice((700, 1500, 5000))
    parts = split_request(SpanRequest(data, 0), limit)
    assert list_placed([part.data for part in parts]) == list_placed([data])
    assert all(len(part.data) <= limit for part in parts)
    if len(data) > limit:
        assert len(parts) > 1
        assert [part.span_count for part in parts] == [len(list_placed([part.data])) for part in parts]


def test_small_request_stays_the_very_same() -> None:
    """Nothing is read of what is small enough, not even whether it can be."""
    request = SpanRequest(b"\xff" * 10, 1)
    assert split_request(request, 10) == [request]


def test_span_larger_than_the_limit_goes_alone() -> None:
    """Whether a peer takes it is the peer's to say; its neighbours do not depend on it."""
    request = make_request(random.Random(1), 1, 0)  # noqa: S311 - as above
    scope = request.resource_spans[0].scope_spans[0]
    for length in (10, 5000, 10):
        scope.spans.add(name="x" * length)
    parts = split_request(SpanRequest(request.SerializeToString(), 3), 1000)
    assert [part.span_count for part in parts] == [1, 1, 1]
    assert [len(part.data) > 1000 for part in parts] == [False, True, False]


def test_zipkin_values_keep_their_bytes() -> None:
    """The parts of a JSON array are arrays, and each value stays as it was written."""
    values = [b'{"id": "%d",  "name":"\xc3\xa9"}' % number for number in range(100)]
    data = b"[" + b" , ".join(values) + b"]"
    parts = split_request(SpanRequest(data, 100, SpanFormat.ZIPKIN), 500)
    assert b",".join(part.data[1:-1] for part in parts) == b",".join(values)
    assert [len(json.loads(part.data)) for part in parts] == [part.span_count for part in parts]
    assert all(len(part.data) <= 500 and part.format is SpanFormat.ZIPKIN for part in parts)


def test_unreadable_request_is_refused() -> None:
    """Bytes that are no message cannot be split."""
    with pytest.raises(WireError):
        split_request(SpanRequest(b"\x0a\xff\xff\xff" * 10, 1), 10)
