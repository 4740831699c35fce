"""Flows that spans in Zipkin's format name, as they are read and as they are claimed."""

import json
from typing import Any

import pytest

from collector_plugin.flow_names import FlowNames, NamedFlow
from collector_plugin.flow_settings import FlowAttributes
from collector_plugin.reasons import ClaimReason
from collector_plugin.zipkin_flows import ZipkinFlows
from collector_plugin.zipkin_walk import walk_zipkin
from hopspan.flow_claims import IntervalClaim
from tests.collector_plugin.claim_story import CLIENT, CLIENT_PORT, SERVER, SERVER_PORT
from tests.collector_plugin.zipkin_arrays import END_NS, ID, START_NS, TRACE, make

LOCAL, REMOTE = f"10.244.1.10:{CLIENT_PORT}", f"10.244.2.20:{SERVER_PORT}"
TAGS = {"hopspan.local": LOCAL, "hopspan.remote": REMOTE, "hopspan.protocol": "HTTP/1.1", "http.url": "/"}


def read(*spans: Any, attributes: FlowAttributes | None = None) -> list[NamedFlow]:
    data = json.dumps(spans).encode()
    assert walk_zipkin(data).span_count == len(spans), "what is read here was taken by the walk"
    return ZipkinFlows(FlowNames(attributes or FlowAttributes())).read(data)


def test_client_names_its_flow() -> None:
    """As an attribute of OTLP does; the end is a microsecond later, since start and duration were both cut."""
    (flow,) = read(make(tags=TAGS))
    ids = bytes.fromhex(TRACE), bytes.fromhex(ID)
    expected = (*ids, 1, CLIENT, CLIENT_PORT, SERVER, SERVER_PORT, START_NS, END_NS + 1000, True)
    assert flow == IntervalClaim(*expected)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ClaimReason.UNNAMED),
        ({"tags": None}, ClaimReason.UNNAMED),
        ({"tags": {"hopspan.local": 7}}, ClaimReason.UNNAMED),
        ({"tags": {"hopspan.local": ["a list"]}}, ClaimReason.UNNAMED),
        ({"tags": {"hopspan.local": "nowhere"}}, ClaimReason.UNREADABLE),
        ({"tags": {"hopspan.local": "127.0.0.1:5"}}, ClaimReason.LOOPBACK),
        ({"tags": TAGS, "timestamp": None}, ClaimReason.UNREADABLE),
        ({"tags": TAGS, "duration": None}, ClaimReason.UNREADABLE),
        ({"tags": TAGS, "timestamp": 2**63}, ClaimReason.UNREADABLE),
    ],
)
def test_client_that_names_none_is_counted(changes: dict[str, Any], reason: ClaimReason) -> None:
    """Each CLIENT says something; why it is no claim is counted."""
    assert read(make(**changes)) == [reason]


def test_other_kinds_name_none() -> None:
    """The server's half of a shared span has the same id, and another end of another connection."""
    assert read(make(kind="SERVER", tags=TAGS), make(kind=None, tags=TAGS), make(kind="PRODUCER", tags=TAGS)) == []
    assert ZipkinFlows(FlowNames(FlowAttributes())).read(b"") == []


def test_configured_tags_are_looked_for() -> None:
    """With the port within, or beside the address as a text, since Zipkin's tags are texts."""
    attributes = FlowAttributes(client=("net.sock.host.addr",))
    (beside,) = read(
        make(tags={"net.sock.host.addr": "10.244.1.10", "net.sock.host.port": str(CLIENT_PORT)}),
        attributes=attributes,
    )
    (within,) = read(make(tags={"net.sock.host.addr": LOCAL}), attributes=attributes)
    assert isinstance(within, IntervalClaim)
    assert beside == within
    assert read(make(tags=TAGS), attributes=attributes) == [ClaimReason.UNNAMED]


def test_escaped_and_odd_arrays_are_read_as_the_walk_reads_them() -> None:
    """Short ids, capitals, times as texts, half a surrogate pair in a tag that is looked for."""
    (flow,) = read(make(traceId="A", id="B", timestamp=str(START_NS // 1000), tags=TAGS))
    assert isinstance(flow, IntervalClaim)
    assert (flow.trace_id, flow.parent_id) == (bytes(15) + b"\n", bytes(7) + b"\x0b")
    (flow,) = read(make(tags=TAGS | {"hopspan.remote": "\ud800"}))
    assert isinstance(flow, IntervalClaim)


@pytest.mark.parametrize("value", ["1e999", "[" + "{}," * 1000 + "{}]", "[" * 900 + "]" * 900])
def test_tag_that_is_no_text_is_skipped_undecoded(value: str) -> None:
    """Whatever the walk takes is taken here, and counts as no name."""
    data = json.dumps([make(tags={"hopspan.local": 0})]).replace(": 0}", f": {value}}}").encode()
    assert walk_zipkin(data).span_count == 1
    assert ZipkinFlows(FlowNames(FlowAttributes())).read(data) == [ClaimReason.UNNAMED]
