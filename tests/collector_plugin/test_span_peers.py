"""The address that a CLIENT says it called, read from the bytes of its span."""

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_plugin.otlp_walk import walk_request
from hopspan.protowire import write_length
from tests.collector_plugin.builders import (
    PARENT_KEY,
    SPAN_ID,
    address,
    make_attributes,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.collector_plugin.otlp_requests import make_transits, reorder_deeply

CLIENT, SERVER, PRODUCER = 3, 2, 4
STABLE, FORMER, FIRST = "network.peer.address", "net.sock.peer.addr", "net.peer.ip"


def name_peer(values: dict[str, str], kind: int = CLIENT, span_id: bytes = SPAN_ID) -> Span:
    """Return a span with these attributes among others."""
    span = make_span(span_id=span_id, kind=kind)
    span.attributes.extend(make_attributes(values))
    return span


def walk_peers(*spans: Span) -> dict[bytes, bytes]:
    """Return what a request with `spans` names."""
    (group,) = walk_request(make_request(make_resource_spans(spans))).application
    return group.peers


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({STABLE: "10.96.0.10"}, "10.96.0.10"),
        ({FORMER: "10.96.0.10"}, "10.96.0.10"),
        ({FIRST: "10.96.0.10"}, "10.96.0.10"),
        ({FIRST: "10.96.0.1", STABLE: "10.96.0.10", FORMER: "10.96.0.2"}, "10.96.0.10"),
        ({STABLE: "2001:db8::1"}, "2001:db8::1"),
        ({STABLE: "::ffff:10.96.0.10"}, "10.96.0.10"),
        ({STABLE: "cart.shop.svc"}, None),
        ({STABLE: "/run/cart.sock"}, None),
        ({STABLE: ""}, None),
        ({STABLE: "cart", FIRST: "10.96.0.10"}, None),
        ({"server.address": "10.96.0.10", "peer.address": "10.96.0.10"}, None),
        ({"note": STABLE}, None),
    ],
)
def test_only_the_other_end_of_the_socket_counts(values: dict[str, str], expected: str | None) -> None:
    """The newest of the conventions that a span has counts, and only an address; a name says nothing."""
    assert walk_peers(name_peer(values)) == ({PARENT_KEY: address(expected)} if expected else {})


@pytest.mark.parametrize(("kind", "is_read"), [(CLIENT, True), (PRODUCER, True), (SERVER, False), (1, False)])
def test_peer_is_that_of_a_span_which_calls(kind: int, is_read: bool) -> None:  # noqa: FBT001 - a table's column
    """To a SERVER the peer is its client."""
    assert bool(walk_peers(name_peer({STABLE: "10.96.0.10"}, kind))) is is_read


def test_each_span_has_its_own() -> None:
    """Spans that name none stand between those that do."""
    ids = [bytes([number]) * 8 for number in range(1, 5)]
    spans = [make_span(span_id=ids[0]), name_peer({STABLE: "10.0.0.1"}, span_id=ids[1]), make_span(span_id=ids[2])]
    peers = walk_peers(*spans, name_peer({FIRST: "10.0.0.2"}, span_id=ids[3]))
    assert {key[16:]: peer for key, peer in peers.items()} == {
        ids[1]: address("10.0.0.1"),
        ids[3]: address("10.0.0.2"),
    }


def test_fields_may_come_in_any_order() -> None:
    """The Collector writes them from the last to the first."""
    data = reorder_deeply(make_request(make_resource_spans([name_peer({STABLE: "10.96.0.10"})])), 3, None)
    (group,) = walk_request(data).application
    assert group.peers == {PARENT_KEY: address("10.96.0.10")}


def test_spans_beside_transits_are_read_too() -> None:
    """A ScopeSpans of the probe's scope may hold other spans."""
    message = make_transits(make_transit({5: 1}))
    message.scope_spans[0].spans.append(name_peer({STABLE: "10.96.0.10"}))
    (group,) = walk_request(make_request(message)).application
    assert group.peers == {PARENT_KEY: address("10.96.0.10")}


def test_other_text_of_the_span_may_be_anything() -> None:
    """What is not UTF-8 is the backend's to judge; it is passed on, and hides no peer."""
    span = name_peer({STABLE: "10.96.0.10"}).SerializeToString() + write_length(5, b"\xff\xfe")
    data = write_length(1, write_length(2, write_length(2, span)))
    (group,) = walk_request(data).application
    assert group.peers == {PARENT_KEY: address("10.96.0.10")}


def test_nothing_is_read_of_nothing() -> None:
    """A ScopeSpans without spans is lawful."""
    assert walk_request(make_request(make_resource_spans([]))).application == []
