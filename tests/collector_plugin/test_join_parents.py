"""Which span is a transit's parent, and when none is: peers, halves of trace ids, and ids that are taken."""

import pytest

from collector_plugin.network_span import Detail, NetworkSpan
from collector_plugin.reasons import HopReason, TransitReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from node_probe.transit import Transit, derive_id, message_key
from tests.collector_plugin.builders import (
    EPOCH_NS,
    MS,
    NODE_1,
    NODE_2,
    PARENT_KEY,
    RESPONSE,
    SECOND,
    SERVER,
    SERVER_POD,
    SPAN_ID,
    TRACE_ID,
    address,
    make_batch,
    make_transit,
)
from tests.collector_plugin.join_story import FAR_HOPS, NEAR, NEAR_HOPS, PARENT, WHOLE, WIRE, Story

LEFT, RIGHT = TRACE_ID[:8], TRACE_ID[8:]
FAR_POD = make_transit({5: 1120, 6: 1130, 7: 1140}, server=SERVER_POD)


def see_caller(story: Story, peer: str, at_s: float = 0) -> list[str]:
    """Let a parent arrive that says it called `peer`."""
    story.join.add_parents(b"resource", [PARENT], int(at_s * SECOND), {PARENT_KEY: address(peer)})
    return story.look(at_s)


def test_message_to_the_peer_that_its_parent_names_is_shown() -> None:
    """Before DNAT the near node saw the Service's address, as did the application; the far one saw the pod's."""
    story = Story()
    story.see(0, NODE_1, NEAR)
    story.see(0, NODE_2, FAR_POD)
    assert see_caller(story, SERVER, 1) == NEAR_HOPS + WIRE + FAR_HOPS
    assert story.released == {}


def test_message_to_another_address_than_its_parent_names_is_released() -> None:
    """A pod that was given a context and uses it to call others adds nothing under its caller's span."""
    story = Story()
    see_caller(story, "10.96.0.99")
    assert story.see(1, NODE_1, NEAR) == []
    assert story.see(1, NODE_2, FAR_POD) == []
    story.see(2, NODE_1, make_transit({5: 2000, 7: 2010}, direction=RESPONSE, seq=9))
    assert story.look(10) == []
    assert story.released == {TransitReason.PEER: 3}
    assert story.see(11, NODE_1, NEAR) == []
    assert story.released == {TransitReason.PEER: 3, TransitReason.DUPLICATE: 1}
    assert story.join.waiting_count == 0


def test_message_within_a_node_must_fit_too() -> None:
    """Its one node is the client's."""
    story = Story()
    see_caller(story, "10.96.0.99")
    assert story.see(0, NODE_1, WHOLE) == []
    assert story.released == {TransitReason.PEER: 1}


def test_late_near_half_that_does_not_fit_adds_nothing() -> None:
    """The far half alone cannot be judged: behind DNAT the address is another."""
    story = Story()
    see_caller(story, "10.96.0.99")
    story.see(0, NODE_2, FAR_POD)
    assert story.look(2) == FAR_HOPS
    assert story.see(3, NODE_1, NEAR) == []
    assert story.released == {TransitReason.PEER: 1}


@pytest.mark.parametrize("sent", [LEFT + RIGHT, bytes(8) + RIGHT])
@pytest.mark.parametrize("known", [LEFT + RIGHT, bytes(8) + RIGHT])
@pytest.mark.parametrize("is_parent_first", [True, False])
def test_spans_are_in_their_parents_trace_whatever_half_the_packet_named(
    sent: bytes,
    known: bytes,
    is_parent_first: bool,  # noqa: FBT001 - a table's column
) -> None:
    """B3 with 64 bits in the packet and 128 in the span, or the other way round: the span's own id counts."""
    story = Story()
    transit = make_transit({2: 1000, 7: 1010}, trace_id=sent)
    parent = (known + SPAN_ID, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS)
    if is_parent_first:
        story.join.add_parents(b"r", [parent], 0)
    story.join.add_batch(make_batch(NODE_1, transit), 0)
    if not is_parent_first:
        story.join.add_parents(b"r", [parent], 0)
    (emission,) = story.join.take_due(0)
    (span,) = emission.spans
    assert (span.trace_id, span.parent_id) == (known, SPAN_ID)
    # The id is that of the packet's own words, so that both nodes of an overlay and a replay have the same.
    assert span.span_id == derive_id(b"hop" + message_key(transit) + bytes((2, 7)))


def test_both_widths_of_a_trace_id_share_the_caps() -> None:
    """Whoever leaves half of the trace id out gets no more spans by it."""
    story = Story(max_per_trace=1)
    story.see_parent(0)
    story.see(0, NODE_1, WHOLE)
    story.see(0, NODE_1, make_transit({2: 1000, 7: 1010}, trace_id=bytes(8) + RIGHT))
    assert story.dropped == {HopReason.TRACE_CAP: 1}


@pytest.mark.parametrize("detail", [Detail.HOPS, Detail.SUMMARY])
def test_id_of_an_application_span_is_never_used_again(detail: Detail) -> None:
    """To Zipkin two spans with one id are one; the application's stays as it is, and the loss is counted."""
    story = Story(detail=detail)
    taken = derive_id(b"hop" + message_key(WHOLE) + bytes((2, 7)))
    story.see_parent(0, (TRACE_ID + taken, 2, EPOCH_NS, EPOCH_NS + MS))
    story.see_parent(0)
    assert story.see(0, NODE_1, WHOLE) == []
    assert story.dropped == {HopReason.ID_TAKEN: 1}
    assert story.join.emitted == {}


def test_same_id_in_another_trace_is_no_matter() -> None:
    """Span ids are unique within a trace alone."""
    story = Story()
    taken = derive_id(b"hop" + message_key(WHOLE) + bytes((2, 7)))
    story.see_parent(0, (b"\x07" * 16 + taken, 2, EPOCH_NS, EPOCH_NS + MS))
    story.see_parent(0)
    assert story.see(0, NODE_1, WHOLE) == ["host-forward"]


def test_connections_of_one_parent_are_messages_of_their_own() -> None:
    """A client that follows a redirect: one span id in several requests, each with its hops, none an attempt."""
    story = Story()
    story.see_parent(0)
    values = {name: getattr(WHOLE, name) for name in WHOLE.__struct_fields__}
    other = Transit(**{**values, "client_port": 40_001})
    next_request = make_transit({2: 3000, 7: 3010}, seq=9999)
    story.join.add_batch(make_batch(NODE_1, WHOLE, other, next_request), 0)
    spans: list[NetworkSpan] = [span for emission in story.join.take_due(0) for span in emission.spans]
    assert len({span.span_id for span in spans}) == 3
    assert not [span for span in spans if "hopspan.attempt" in dict(span.attributes)]


def test_record_that_turns_out_unreadable_is_counted_when_its_parent_comes() -> None:
    """What waits was not decoded; a value that version 1 does not know shows only then."""
    story = Story()
    batch = make_batch(NODE_1, NEAR)
    raw = batch.transits[0]
    broken = type(raw)(raw.record[:48] + b"\xc8" + raw.record[49:], raw.trace_id, raw.parent_id, raw.flags)
    story.join.add_batch(type(batch)(batch.node, batch.epoch_offset_ns, batch.interfaces, (broken,)), 0)
    assert story.released == {}
    story.see_parent(1)
    assert story.released == {TransitReason.MALFORMED: 1}
    assert story.join.waiting_count == 0
