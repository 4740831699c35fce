"""What flows CLIENT spans name, through the walk of a request: every convention, and why some name none."""

from ipaddress import ip_address
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from collector_plugin.config import PluginConfig
from collector_plugin.flow_names import FlowNames, NamedFlow
from collector_plugin.flow_settings import FlowAttributes
from collector_plugin.otlp_walk import walk_request
from collector_plugin.reasons import ClaimReason
from hopspan.config import ConfigError, parse_config
from hopspan.flow_claims import ANY_ADDRESS, IntervalClaim
from tests.collector_plugin.claim_story import SPAN_ID, TRACE_ID

START_NS, END_NS = 10**18, 10**18 + 5
Attributes = dict[str, str | int]


def make_span(attributes: Attributes, kind: int = Span.SPAN_KIND_CLIENT, **fields: Any) -> Span:
    """Return a span with text and numbers as attributes."""
    values = {
        key: AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
        for key, value in attributes.items()
    }
    ordinary: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": END_NS,
    }
    return Span(
        **(ordinary | fields),
        kind=kind,  # type: ignore[arg-type]  # the enum's own type is an int
        name="GET",
        attributes=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def write_request(*spans: Span) -> bytes:
    """Return the request of the spans."""
    scopes = [ScopeSpans(spans=spans)]
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=scopes)]).SerializeToString()


def read_flows(*spans: Span, attributes: FlowAttributes | None = None) -> list[NamedFlow]:
    """Return what the spans say, read from a request."""
    walk = walk_request(write_request(*spans), FlowNames(attributes or FlowAttributes()))
    assert walk.span_count == len(spans)
    return walk.flows


def read_flow(attributes: Attributes) -> NamedFlow:
    """Return what one CLIENT span says."""
    (flow,) = read_flows(make_span(attributes))
    return flow


def pack(text: str) -> bytes:
    """Return 16 bytes."""
    address = ip_address(text)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


ENVOY: Attributes = {
    "upstream_address": "10.244.2.2:15006",
    "http.protocol": "HTTP/2",
    "peer.address": "10.0.0.9",
    "hopspan.local": "10.244.1.2:40000",
    "hopspan.remote": "10.244.2.3:15006",
    "hopspan.protocol": "HTTP/1.1",
}


@pytest.mark.parametrize(
    ("attributes", "client", "server", "is_one_at_a_time"),
    [
        (ENVOY, ("10.244.1.2", 40000), ("10.244.2.3", 15006), True),
        (ENVOY | {"hopspan.protocol": "HTTP/2"}, ("10.244.1.2", 40000), ("10.244.2.3", 15006), False),
        (
            {"hopspan.local": "[fd00::1]:40000", "upstream_address": "[fd00::2]:443"},
            ("fd00::1", 40000),
            ("fd00::2", 443),
            False,
        ),
        (
            {
                "network.local.address": "10.244.1.2",
                "network.local.port": 40000,
                "network.peer.address": "10.244.2.3",
                "network.peer.port": 443,
                "network.protocol.version": "1.1",
            },
            ("10.244.1.2", 40000),
            ("10.244.2.3", 443),
            True,
        ),
        (
            {
                "client.address": "fd00::1",
                "client.port": "40000",
                "server.address": "shop.example",
                "server.port": 443,
                "http.flavor": "2.0",
            },
            ("fd00::1", 40000),
            None,
            False,
        ),
        (
            {
                "hopspan.local": "10.244.1.2:40000",
                "network.protocol.name": "amqp",
                "network.protocol.version": "1.0",
            },
            ("10.244.1.2", 40000),
            None,
            False,
        ),
        ({"hopspan.local": "10.244.1.2:40000", "http.flavor": "10"}, ("10.244.1.2", 40000), None, False),
        ({"hopspan.local": "10.244.1.2:40000", "http.flavor": "1.0"}, ("10.244.1.2", 40000), None, True),
        ({"hopspan.local": "", "client.address": "10.244.1.2", "client.port": 1}, ("10.244.1.2", 1), None, False),
    ],
)
def test_flow_is_read_from_the_attributes(
    attributes: Attributes,
    client: tuple[str, int],
    server: tuple[str, int] | None,
    is_one_at_a_time: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Envoy's custom tags, and the semantic conventions; what names no server is of any."""
    server_address, server_port = (pack(server[0]), server[1]) if server is not None else (ANY_ADDRESS, 0)
    assert read_flow(attributes) == IntervalClaim(
        TRACE_ID,
        SPAN_ID,
        1,
        pack(client[0]),
        client[1],
        server_address,
        server_port,
        START_NS,
        END_NS,
        is_one_at_a_time,
    )


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({}, ClaimReason.UNNAMED),
        ({"peer.address": "10.244.1.2:40000", "upstream_address": "10.244.2.2:15006"}, ClaimReason.UNNAMED),
        ({"hopspan.local": "-"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "10.244.1.2"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "10.244.1.2:0"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "10.244.1.2:65536"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "10.244.1.2:1e3"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "shop:40000"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "[fd00::1:40000"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "\N{SUPERSCRIPT TWO}:1"}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "1" * 1000 + ":1"}, ClaimReason.UNREADABLE),
        ({"network.local.address": "10.244.1.2"}, ClaimReason.UNREADABLE),
        ({"network.local.address": "10.244.1.2", "network.local.port": -1}, ClaimReason.UNREADABLE),
        ({"hopspan.local": "127.0.0.6:40000"}, ClaimReason.LOOPBACK),
        ({"hopspan.local": "[::1]:40000"}, ClaimReason.LOOPBACK),
    ],
)
def test_flow_that_is_not_named_is_told_with_its_reason(attributes: Attributes, reason: ClaimReason) -> None:
    """So that the metrics say why a mesh has no hops."""
    assert read_flow(attributes) is reason


@pytest.mark.parametrize(
    "fields",
    [
        {"span_id": bytes(8)},
        {"trace_id": bytes(16)},
        {"trace_id": b"short"},
        {"start_time_unix_nano": END_NS + 1},
        {"start_time_unix_nano": 0},
    ],
)
def test_span_that_cannot_be_a_parent_claims_nothing(fields: dict[str, Any]) -> None:
    """Its answer would go nowhere, or its interval has no inside."""
    assert read_flows(make_span(ENVOY, **fields)) == [ClaimReason.UNREADABLE]


def test_only_clients_name_flows() -> None:
    """A SERVER's ends are those of another's connection: its parent names it."""
    kinds = [Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_PRODUCER]
    flows = read_flows(*(make_span(ENVOY, kind, span_id=bytes([1] * 7 + [kind])) for kind in kinds))
    assert [flow.parent_id[-1] for flow in flows if isinstance(flow, IntervalClaim)] == [Span.SPAN_KIND_CLIENT]
    assert len(flows) == 1


def test_attributes_are_the_users_to_name() -> None:
    """In their order; what is not listed counts for nothing."""
    attributes = FlowAttributes(client=("socket.here", "net.host.ip"), server=(), protocol=())
    flow: Attributes = {
        "net.host.ip": "10.244.1.2",
        "net.host.port": 7,
        "hopspan.local": "10.244.1.3:8",
        "http.flavor": "1.1",
    }
    (claim,) = read_flows(make_span(flow), attributes=attributes)
    assert isinstance(claim, IntervalClaim)
    assert (claim.client_address, claim.client_port, claim.server_port) == (pack("10.244.1.2"), 7, 0)
    assert not claim.is_one_at_a_time
    (claim,) = read_flows(make_span(flow | {"socket.here": "10.244.1.4:9"}), attributes=attributes)
    assert isinstance(claim, IntervalClaim)
    assert (claim.client_address, claim.client_port) == (pack("10.244.1.4"), 9)


def test_walk_is_the_same_with_flows_and_without() -> None:
    """What is passed on, and what parents and peers there are, does not depend on it."""
    data = write_request(
        make_span({"network.peer.address": "10.0.0.1", **ENVOY}),
        make_span({}, Span.SPAN_KIND_SERVER, span_id=b"s" * 8),
    )
    plain, with_flows = walk_request(data), walk_request(data, FlowNames(FlowAttributes()))
    assert plain.flows == []
    assert with_flows.forward == plain.forward == data
    assert with_flows.application == plain.application
    assert plain.application[0].peers == {TRACE_ID + SPAN_ID: pack("10.0.0.1")}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("client: []", "client: expected at least one"),
        (f"client: [{'ä' * 64}]", r"client\[0\]: has more than 127 bytes"),
        (f"server: [{'k' * 128}]", "server"),
        ('protocol: [""]', "protocol"),
    ],
)
def test_attributes_that_cannot_be_are_refused(text: str, complaint: str) -> None:
    """Without the client's end nothing can be claimed."""
    exporter = 'exporters: {otlp: {endpoint: "localhost:4317"}}'
    with pytest.raises(ConfigError, match=complaint):
        parse_config(f"{exporter}\nflows: {{enabled: true, attributes: {{{text}}}}}", PluginConfig)
