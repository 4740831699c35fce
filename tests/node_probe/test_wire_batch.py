"""A batch in OTLP: both directions, the golden request of this version, and what else may arrive."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from node_probe.transit import transit_id
from node_probe.wire_batch import BatchError, NodeIdentity, TransitBatch, decode_batch
from node_probe.wire_record import RecordVersionError
from tests.golden_files import GOLDEN
from tests.node_probe.batch_reference import encode_batch
from tests.node_probe.transits import REQUEST, vary

NODE = NodeIdentity("node-1", "4d3c", "worker-a", "b1f0c0de-0000-4000-8000-000000000001", "k8s-node-1")
OFFSET_NS = 1_700_000_000_000_000_000
BATCH = TransitBatch(NODE, OFFSET_NS, {2: "eth0", 5: "veth1", 7: "flannel.1"}, (REQUEST, vary(seq=8000)))


def encode_spans(batch: TransitBatch) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest.FromString(encode_batch(batch, "0.1.0"))


def test_batch_comes_back() -> None:
    """What the probe encodes the plugin decodes."""
    (resource_spans,) = encode_spans(BATCH).resource_spans
    assert decode_batch(resource_spans.SerializeToString()) == BATCH


def test_golden_batch_of_this_version() -> None:
    """The request that a probe of version 1 sends is understood for ever."""
    data = bytes.fromhex((GOLDEN / "otlp" / "transits_of_version_1.hex").read_text())
    (resource_spans,) = ExportTraceServiceRequest.FromString(data).resource_spans
    assert decode_batch(resource_spans.SerializeToString()) == BATCH
    assert encode_batch(BATCH, "0.1.0") == data


def test_span_is_an_ordinary_one() -> None:
    """Stock tools can route it: trace id, parent, times and flags are where OTLP has them."""
    (resource_spans,) = encode_spans(BATCH).resource_spans
    attributes = {a.key: a.value for a in resource_spans.resource.attributes}
    assert attributes["service.name"].string_value == "node-probe"
    assert attributes["k8s.node.name"].string_value == "k8s-node-1"
    assert [v.string_value for v in attributes["hopspan.interfaces"].array_value.values] == [
        "2 eth0",
        "5 veth1",
        "7 flannel.1",
    ]
    (scope_spans,) = resource_spans.scope_spans
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("node_probe", "0.1.0")
    span = scope_spans.spans[0]
    assert span.name == "overlay-transit"
    assert (span.trace_id, span.parent_span_id) == (REQUEST.context.trace_id, REQUEST.context.parent_id)
    assert span.span_id == transit_id(REQUEST, "node-1")
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (OFFSET_NS + 1_000_000, OFFSET_NS + 1_015_700)
    assert (span.kind, span.flags) == (span.SPAN_KIND_INTERNAL, 1)


def test_interfaces_that_do_not_occur_are_not_sent() -> None:
    """A node with a thousand pods does not send a thousand names with each batch."""
    batch = TransitBatch(NODE, OFFSET_NS, {9: "veth9", **BATCH.interfaces}, BATCH.transits)
    (resource_spans,) = encode_spans(batch).resource_spans
    assert 9 not in decode_batch(resource_spans.SerializeToString()).interfaces


def test_unreadable_spans_are_reported_one_by_one() -> None:
    """A record of a later version, one that is cut, and a span without one do not take the others with them."""
    request = encode_spans(BATCH)
    spans = request.resource_spans[0].scope_spans[0].spans
    for change in (b"\x02", b"\x01\x00", None):
        spans.add().CopyFrom(spans[0])
        del spans[-1].attributes[:]
        if change is not None:
            spans[-1].attributes.append(KeyValue(key="hopspan.record", value=AnyValue(bytes_value=change)))
    batch = decode_batch(request.resource_spans[0].SerializeToString())
    assert batch.transits == BATCH.transits
    assert [isinstance(error, RecordVersionError) for error in batch.rejected] == [True, False, False]


@pytest.mark.parametrize("key", ["hopspan.node", "hopspan.clock.id", "hopspan.epoch_offset_ns"])
def test_missing_resource_attribute_is_named(key: str) -> None:
    """Without what places its stamps a batch is refused, and the error names what is missing."""
    (resource_spans,) = encode_spans(BATCH).resource_spans
    kept = [a for a in resource_spans.resource.attributes if a.key != key]
    del resource_spans.resource.attributes[:]
    resource_spans.resource.attributes.extend(kept)
    with pytest.raises(BatchError, match=key):
        decode_batch(resource_spans.SerializeToString())


@pytest.mark.parametrize(
    "resource",
    [
        msgspec.structs.replace(NODE, name="n" * 254),
        msgspec.structs.replace(NODE, host_name="n" * 100_000),
        msgspec.structs.replace(NODE, clock_id="n" * 254),
    ],
)
def test_long_names_are_refused(resource: NodeIdentity) -> None:
    """A name goes into every network span, so a batch with a huge one is refused as a whole."""
    (resource_spans,) = encode_spans(msgspec.structs.replace(BATCH, node=resource)).resource_spans
    with pytest.raises(BatchError, match="characters"):
        decode_batch(resource_spans.SerializeToString())


def test_too_many_or_odd_interfaces() -> None:
    """More interfaces than any node has are refused; a line that is no interface is passed over."""
    (resource_spans,) = encode_spans(BATCH).resource_spans
    names = next(a for a in resource_spans.resource.attributes if a.key == "hopspan.interfaces").value.array_value
    for odd in ("9" * 5000 + " eth9", "8 " + "n" * 16, "x eth0", "\u0663 eth3", "7"):
        names.values.add().string_value = odd
    assert decode_batch(resource_spans.SerializeToString()).interfaces == BATCH.interfaces
    names.values.extend([names.values[0]] * 8192)
    with pytest.raises(BatchError, match="interfaces"):
        decode_batch(resource_spans.SerializeToString())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_its_error(data: bytes) -> None:
    """A decoder returns a value or raises its one documented error."""
    try:
        batch = decode_batch(data)
    except BatchError:
        return
    assert batch.node.name
