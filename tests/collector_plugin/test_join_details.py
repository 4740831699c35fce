"""How many spans an exchange gets: all hops, or a summary; and that all hops are measured whatever is shown."""

from collector_plugin.network_span import Detail
from collector_plugin.reasons import HopReason
from node_probe.transit import derive_id, message_key
from tests.collector_plugin.builders import (
    EPOCH_NS,
    NODE_1,
    NODE_2,
    SECOND,
    SERVER_POD,
    TRACE_ID,
    US,
    make_batch,
    make_transit,
)
from tests.collector_plugin.join_story import (
    ANSWER_FAR,
    ANSWER_NEAR,
    FAR,
    FAR_HOPS,
    NEAR,
    NEAR_HOPS,
    REQUEST_HOPS,
    WIRE,
    Story,
)


def test_direction_is_one_span_with_a_hop_an_event() -> None:
    """From the first stamp to the last; each event at its hop's beginning, with what a hop's span would say."""
    story = Story(detail=Detail.SUMMARY)
    story.see_parent(0)
    far = make_transit({5: 1120, 6: 1130, 7: 1140}, server=SERVER_POD)
    story.join.add_batch(make_batch(NODE_1, NEAR), 0)
    story.join.add_batch(make_batch(NODE_2, far), 0)
    (emission,) = story.join.take_due(0)
    (span,) = emission.spans
    assert (span.name, span.start_ns, span.end_ns) == ("network", EPOCH_NS + 1000 * US, EPOCH_NS + 1139 * US)
    assert span.span_id == derive_id(b"hop" + message_key(NEAR) + bytes((2, 7)))
    assert dict(span.attributes) == {
        "hopspan.direction": "request",
        "hopspan.from": "veth-ingress",
        "hopspan.to": "veth-egress",
        "hopspan.duration_ns": 140_000,
        "source.address": "10.244.1.2",
        "source.port": 40_000,
        "destination.address": SERVER_POD,
        "destination.port": 8080,
        "hopspan.clock.source": "same",
    }
    assert [event.name for event in span.events] == REQUEST_HOPS
    starts_us = [1000, 1010, 1020, 1120, 1130]
    assert [event.time_ns for event in span.events] == [EPOCH_NS + start * US for start in starts_us]
    wire = dict(pair for group in span.events[2].groups for pair in group.pairs)
    assert wire == {
        "hopspan.from": "nic-egress",
        "hopspan.to": "nic-ingress",
        "hopspan.duration_ns": 100_000,
        "hopspan.node": "node-1",
        "network.interface.name": "ens3",
        "tunnel.type": "vxlan",
        "tunnel.id": "1",
        "tunnel.source.address": "192.168.7.1",
        "tunnel.destination.address": "192.168.7.2",
    }
    assert story.join.emitted == {"network": 1}


def test_late_counterpart_is_a_summary_of_its_own() -> None:
    """What was sent is not taken back; the two have different ids."""
    story = Story(detail=Detail.SUMMARY)
    story.see_parent(0)
    story.see_both(0, NEAR)
    (early,) = story.see_both(2)
    (late,) = story.see_both(5, FAR)
    assert [event.name for event in early.events] == NEAR_HOPS
    assert [event.name for event in late.events] == WIRE + FAR_HOPS
    assert early.span_id != late.span_id


def test_minimum_duration_is_that_of_the_whole() -> None:
    """A direction that is long enough keeps its short hops as events."""
    story = Story(detail=Detail.SUMMARY, min_duration_ns=140 * US)
    story.see_parent(0)
    (span,) = story.see_both(0, NEAR, FAR)
    assert len(span.events) == 5
    story = Story(detail=Detail.SUMMARY, min_duration_ns=140 * US + 1)
    story.see_parent(0)
    assert story.see_both(0, NEAR, FAR) == []
    assert story.dropped == {HopReason.MIN_DURATION: 5}


def test_cap_counts_summaries() -> None:
    """A trace of a thousand spans has a thousand directions; what is dropped is counted by hops."""
    story = Story(detail=Detail.SUMMARY, max_per_trace=1)
    story.see_parent(0)
    assert len(story.see_both(0, NEAR, FAR, ANSWER_NEAR, ANSWER_FAR)) == 1
    assert story.dropped == {HopReason.TRACE_CAP: 5}


def test_transit_of_one_stamp_has_nothing_to_show() -> None:
    """It is joined all the same."""
    story = Story(detail=Detail.SUMMARY)
    story.see_parent(0)
    story.see(0, NODE_1, make_transit({4: 10}))
    assert story.look(2) == []
    assert story.join.joined == 1


def test_hops_are_measured_whatever_becomes_of_their_spans() -> None:
    """Too short, too many, not slow, or only summed up: each joined hop is counted once."""
    for changes in (
        {},
        {"min_duration_ns": SECOND},
        {"max_per_trace": 1},
        {"detail": Detail.SUMMARY},
        {"detail": Detail.SLOW, "slow_threshold_ns": SECOND},
    ):
        story = Story(**changes)
        story.see_parent(0)
        story.see(0, NODE_1, NEAR)
        story.see(0, NODE_2, FAR)
        found = {key: (sum(series.counts), series.sum_ns) for key, series in story.join.durations.read()}
        assert found == {
            ("host-forward", "request", "node-1", "node-1", "unknown_service"): (1, 10 * US),
            ("vxlan-encap", "request", "node-1", "node-1", "unknown_service"): (1, 10 * US),
            ("underlay", "request", "node-1", "node-2", "unknown_service"): (1, 100 * US),
            ("vxlan-decap", "request", "node-2", "node-2", "unknown_service"): (1, 10 * US),
            ("host-forward", "request", "node-2", "node-2", "unknown_service"): (1, 10 * US),
        }


def test_wire_of_a_response_leads_back() -> None:
    """It begins at the server's node, and its example tells trace and end."""
    story = Story()
    story.see_parent(0)
    story.see_both(0, ANSWER_FAR, ANSWER_NEAR)
    (series,) = [
        series
        for key, series in story.join.durations.read()
        if key[:4] == ("underlay", "response", "node-2", "node-1")
    ]
    assert [example for example in series.examples if example] == [(100 * US, EPOCH_NS + 9120 * US, TRACE_ID)]
