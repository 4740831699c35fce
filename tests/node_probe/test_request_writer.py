"""The request around the spans: the golden one of this version, and what the resource says."""

import pytest

from node_probe.request_writer import RequestWriter
from node_probe.span_writer import SpanBatch, SpanWriter
from node_probe.transit import NodeIdentity
from node_probe.wire_batch import TransitBatch, decode_batch
from tests.golden_files import GOLDEN, read_story
from tests.node_probe.batch_reference import encode_batch
from tests.node_probe.records import make_record
from tests.node_probe.resource_spans import read_resource_spans

NODE = NodeIdentity("node-1", "4d3c", "worker-a", "b1f0c0de-0000-4000-8000-000000000001", "k8s-node-1")
OFFSET_NS = 1_700_000_000_000_000_000
NAMES = {11: "eth0", 12: "veth1", 13: "flannel.1", 14: "eth1"}


def write_spans(*records: bytes) -> SpanBatch:
    batch = SpanWriter(NODE.name).write(records, OFFSET_NS).batch
    assert batch is not None
    return batch


def send(*batches: SpanBatch, node: NodeIdentity = NODE) -> bytes:
    return RequestWriter(node, "0.1.0").write(batches, OFFSET_NS, NAMES)


def test_golden_request_of_this_version() -> None:
    """From a golden record of the kernel to the request that a probe of version 1 sends, byte by byte."""
    record, _ = read_story("records", "request_at_four_points")
    names = {2: "eth0", 5: "veth1", 7: "flannel.1", 9: "veth9", (1 << 31) | 5: "eth0"}
    request = RequestWriter(NODE, "0.1.0").write([write_spans(record)], OFFSET_NS, names)
    assert request.hex() == "".join((GOLDEN / "otlp" / "request_of_version_1.hex").read_text().split())


def test_batches_lie_one_behind_the_other() -> None:
    """Spans of several batches are sent as if they had been one, and the interfaces of all are named, once each."""
    first, second = make_record(seq=1), make_record(seq=2, seen=0b1000)
    assert send(write_spans(first), write_spans(second)) == send(write_spans(first, second))
    found = decode_batch(read_resource_spans(send(write_spans(first), write_spans(second))))
    assert [transit.seq for transit in found.transits] == [1, 2]
    assert found.epoch_offset_ns == OFFSET_NS


def test_interfaces_that_do_not_occur_are_not_sent() -> None:
    """A node with a thousand pods does not send a thousand names with each request; what has no name is left out."""
    found = decode_batch(read_resource_spans(send(write_spans(make_record(seen=0b11000)))))
    assert found.interfaces == {14: "eth1"}


@pytest.mark.parametrize(
    "node",
    [NODE, NodeIdentity("n", "", "", "c"), NodeIdentity("ü" * 200, "", "h" * 200, "c", "k")],
    ids=["all", "least", "long"],
)
def test_resource_is_that_of_the_protobuf_library(node: NodeIdentity) -> None:
    """What is not known of a node is left out, and every length is written as the library does."""
    assert send(node=node) == encode_batch(TransitBatch(node, OFFSET_NS, NAMES, ()), "0.1.0")
