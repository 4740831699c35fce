"""What is fuzzed: each parser of bytes from outside, what it may answer, and what that is compared with.

A target takes any bytes. It returns where the parser took them or refused them lawfully, and else raises.
"""

import contextlib
from collections.abc import Callable

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector_plugin.content_encoding import ContentEncoding, ContentError, unpack
from collector_plugin.flow_names import FlowNames
from collector_plugin.flow_settings import FlowAttributes
from collector_plugin.kubernetes_cluster import Cluster
from collector_plugin.kubernetes_feed import Feed, GoneError, WatchError, handle_pods, handle_services
from collector_plugin.kubernetes_objects import ObjectError
from collector_plugin.otlp_json_request import read_otlp_json
from collector_plugin.otlp_to_zipkin import convert_request
from collector_plugin.otlp_walk import walk_request
from collector_plugin.zipkin_proto import read_list_of_spans
from collector_plugin.zipkin_to_otlp import convert_to_otlp
from collector_plugin.zipkin_walk import walk_zipkin
from hopspan.partial_success import read_result
from hopspan.protowire import WireError
from hopspan.rpc_status import read_retry_after_ns
from node_probe.context import HUFFMAN, ContextError, read_context
from node_probe.transit import HEADER_FORMATS
from node_probe.wire_batch import BatchError, read_batch
from tests.collector_plugin.builders import (
    EPOCH_NS,
    NODE_1,
    SECOND,
    make_decoded_batch,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.collector_plugin.cluster_objects import make_pod, make_service, write_event, write_object, write_page
from tests.collector_plugin.otlp_requests import list_by_protobuf, list_by_walk
from tests.node_probe.batch_reference import encode_batch
from tests.node_probe.coded_contexts import encode, encode_multi, read_by_hand
from traceview.jaeger_json import read_jaeger_v1, read_jaeger_v3
from traceview.reading import AnswerError, Reading
from traceview.tree import group_traces
from traceview.zipkin_json import read_zipkin_trace

JAEGER_V3 = (
    b'{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},'
    b'"scopeSpans":[{"scope":{"name":"hopspan"},"spans":[{"traceId":"0123456789abcdef0123456789abcdef",'
    b'"spanId":"0123456789abcdef","parentSpanId":"0123456789abcdee","kind":1,"startTimeUnixNano":"5",'
    b'"endTimeUnixNano":"6","attributes":[{"key":"hopspan.duration_ns","value":{"intValue":"7"}}]}]}]}]}}'
)
JAEGER_V1 = (
    b'{"data":[{"spans":[{"traceID":"1","spanID":"2","startTime":5,"duration":6,"operationName":"x","processID":"p1",'
    b'"references":[{"refType":"CHILD_OF","traceID":"1","spanID":"3"}],"tags":[{"key":"span.kind","value":"client"},'
    b'{"key":"hopspan.missed","value":"[\\"nic-egress\\"]"}]}],"processes":{"p1":{"serviceName":"a","tags":[]}}}]}'
)
ZIPKIN_ANSWER = (
    b'[{"traceId":"1","id":"2","parentId":"3","name":"x","kind":"CLIENT","timestamp":5,"duration":6,'
    b'"localEndpoint":{"serviceName":"a"},"tags":{"otel.scope.name":"hopspan","hopspan.duration_ns":"7"}}]'
)

UNPACKED_LIMIT = 1 << 16
FLOWS = FlowNames(FlowAttributes())


class Target(msgspec.Struct, frozen=True):
    """A parser under test."""

    run: Callable[[bytes], None]
    samples: tuple[bytes, ...]
    """Lawful input to begin with."""


def fuzz_otlp_walk(data: bytes) -> None:
    """Find what the protobuf library finds, wherever both take the bytes; pass them on untouched."""
    try:
        walk = walk_request(data)
    except WireError:
        return
    assert walk_request(data, FLOWS).forward == walk.forward
    try:
        ExportTraceServiceRequest.FromString(data)
    except DecodeError:
        return  # the library refuses more, such as text that is not UTF-8: that is the backend's to say
    if walk.transits:
        return
    assert walk.forward == data
    assert list_by_walk(walk) == list_by_protobuf(data)


def fuzz_batch(data: bytes) -> None:
    """Take transits or refuse them by a BatchError."""
    try:
        read_batch(data)
    except BatchError:
        return


def fuzz_otlp_json(data: bytes) -> None:
    """What is taken becomes a request that the protobuf library and the walk take."""
    try:
        request = read_otlp_json(data)
    except WireError:
        return
    ExportTraceServiceRequest.FromString(request)
    walk_request(request)


def fuzz_zipkin_json(data: bytes) -> None:
    """What the walk takes can be put into OTLP, with as many spans and the same parents."""
    try:
        walk = walk_zipkin(data)
    except WireError:
        return
    try:
        converted = walk_request(convert_to_otlp(data))
    except WireError:
        return  # more tags or annotations than one span may have
    assert converted.span_count == walk.span_count


def fuzz_zipkin_proto(data: bytes) -> None:
    """What is taken becomes JSON that the walk takes."""
    try:
        array = read_list_of_spans(data)
    except WireError:
        return
    walk_zipkin(array)


def fuzz_otlp_to_zipkin(data: bytes) -> None:
    """What is put into Zipkin's JSON is taken by the walk."""
    try:
        array = convert_request(data).data
    except WireError:
        return
    walk_zipkin(array)


def fuzz_answers(data: bytes) -> None:
    """Whatever a peer answers is read without an error, and no count is below zero."""
    result = read_result(data)
    assert result.rejected_spans >= 0
    try:
        expected = ExportTraceServiceResponse.FromString(data).partial_success.rejected_spans
        assert result.rejected_spans == max(0, expected)
    except DecodeError:
        pass
    delay_ns = read_retry_after_ns(data)
    assert delay_ns is None or delay_ns >= 0


def fuzz_unpacking(data: bytes) -> None:
    """Unpack no more than the limit, or refuse by a ContentError."""
    for encoding in (ContentEncoding.GZIP, ContentEncoding.DEFLATE, ContentEncoding.ZSTD):
        try:
            assert len(unpack(data, encoding, UNPACKED_LIMIT, lambda _bytes: True)) <= UNPACKED_LIMIT
        except ContentError:
            continue


def fuzz_coded_context(data: bytes) -> None:
    """In each format, find the context that the hpack package and the grammar find, or refuse what they refuse."""
    for context_format in HEADER_FORMATS:
        try:
            context = read_context(context_format, HUFFMAN, data)
        except ContextError:
            context = None
        assert context == read_by_hand(context_format, data)


TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTLP = make_request(make_resource_spans([make_span(), make_span(span_id=b"\1" * 8)]))
ZIPKIN = convert_request(OTLP).data
OTLP_JSON = (
    b'{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":'
    b'[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","kind":3,"name":"GET /",'
    b'"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000000000001,"status":{"code":2},"links":[],'
    b'"events":[{"timeUnixNano":"1","name":"e","attributes":[{"key":"k","value":{"arrayValue":{"values":[]}}}]}]}]}]}]}'
)
ZIPKIN_PROTO = bytes.fromhex("0a250a100af7651916cd43dd8448eb211c80319c1a08b7ad6b7169203331200131e803000000000000")
BATCH = encode_batch(make_decoded_batch(NODE_1, make_transit({2: 1000, 3: 1010, 4: 1020})), "1")


def fuzz_backend_answers(data: bytes) -> None:
    """Make spans of any answer, or refuse it; all have a place in a tree, and what is said can be shown."""
    for read in (read_jaeger_v3, read_jaeger_v1, read_zipkin_trace):
        reading = Reading(())
        try:
            reading = read(data)
            said = reading.describe()
        except AnswerError as error:
            said = (str(error),)
        assert all(text.isprintable() for text in said)
        traces = group_traces(reading.spans)
        drawn = {(trace.trace_id, row.span.span_id) for trace in traces for row in trace.rows}
        assert drawn == {(span.trace_id, span.span_id) for span in reading.spans}


POD = write_object(make_pod("cart-1", "10.244.2.2", labels={"app": "cart"}, ready_s=1))
SERVICE = write_object(make_service("cart", "10.96.0.10", selector={"app": "cart"}))


def fuzz_kubernetes(data: bytes) -> None:
    """Take a page, an event, and objects of both kinds, or refuse them by the errors that are documented."""
    cluster = Cluster(SECOND)
    for handler in (handle_pods(cluster), handle_services(cluster)):
        feed = Feed(handler, SECOND)
        feed.begin_list(EPOCH_NS)
        with contextlib.suppress(ObjectError):
            feed.add_page(data, EPOCH_NS)
        with contextlib.suppress(ObjectError, GoneError, WatchError):
            feed.add_event(data, EPOCH_NS)
        for gone in (False, True):
            with contextlib.suppress(ObjectError):
                (handler.end if gone else handler.put)(data, EPOCH_NS)
        assert len(handler.list()) <= 1 + data.count(b"uid")


CODED = (
    encode(f"00-{TRACE_ID}-{SPAN_ID}-01"),
    encode(f"{TRACE_ID}-{SPAN_ID}-1"),
    encode(f"{TRACE_ID}:{SPAN_ID}:0:1"),
    encode_multi(TRACE_ID, SPAN_ID, "1"),
)

TARGETS = {
    "otlp-walk": Target(fuzz_otlp_walk, (OTLP, BATCH)),
    "batch": Target(fuzz_batch, (walk_request(BATCH).transits[0].resource_spans,)),
    "otlp-json": Target(fuzz_otlp_json, (OTLP_JSON,)),
    "zipkin-json": Target(fuzz_zipkin_json, (ZIPKIN,)),
    "zipkin-proto": Target(fuzz_zipkin_proto, (ZIPKIN_PROTO,)),
    "otlp-to-zipkin": Target(fuzz_otlp_to_zipkin, (OTLP,)),
    "answers": Target(fuzz_answers, (b"\x0a\x06\x08\x03\x12\x02no",)),
    "backend-answers": Target(fuzz_backend_answers, (JAEGER_V3, JAEGER_V1, ZIPKIN_ANSWER)),
    "kubernetes": Target(fuzz_kubernetes, (POD, SERVICE, write_page([]), write_event("BOOKMARK", {"metadata": {}}))),
    "coded-context": Target(fuzz_coded_context, CODED),
    "unpacking": Target(fuzz_unpacking, (bytes.fromhex("1f8b080000000000000303000000000000000000"),)),
}
