"""A checkout that asks the cart on another node: spans in OTLP and in Zipkin's own format, and the nodes' transits.

Values only: no IO. What must stand in Zipkin is written down here by docs/zipkin.md, not by the plugin's code.
Times are microseconds after the story's beginning.
"""

import os
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from node_probe.transit import Direction, Transit
from node_probe.wire_batch import TransitBatch
from tests.collector_plugin.builders import (
    CLIENT,
    INTERFACES,
    MONOTONIC_NS,
    NODE_1,
    NODE_2,
    REQUEST,
    RESPONSE,
    SERVER,
    SERVER_POD,
    US,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.node_probe.batch_reference import encode_batch
from tests.peers.zipkin_server import ZipkinSpan

ROOT_SPAN, CLIENT_SPAN, SERVER_SPAN = "00000000000000a1", "00000000000000b2", "00000000000000c3"
PORT = 8080

# Stamps by point number, at the caller's node and at the other.
REQUEST_NEAR, REQUEST_FAR = {1: 150, 2: 156, 3: 165, 4: 176}, {5: 416, 6: 428, 7: 437, 8: 444}
RESPONSE_FAR, RESPONSE_NEAR = {1: 1250, 2: 1256, 3: 1262, 4: 1273}, {5: 1363, 6: 1375, 7: 1384, 8: 1391}

_WAY = ("veth-hop", "host-forward", "vxlan-encap", "underlay", "vxlan-decap", "host-forward", "veth-hop")
_NEAR = ("pod-egress", "veth-ingress", "overlay-egress", "nic-egress")
_POINTS = (*_NEAR, "nic-ingress", "overlay-ingress", "veth-egress", "pod-ingress")


@dataclass(frozen=True)
class Story:
    """One trace; it begins at `start_us` (epoch). The trace id has 32 digits, or 16."""

    start_us: int
    trace_id: str = field(default_factory=lambda: os.urandom(16).hex())

    def make_spans(self) -> bytes:
        """Return the application spans as OTLP."""
        root = self._make_span(ROOT_SPAN, "", "GET /checkout", Span.SPAN_KIND_SERVER, (0, 1900))
        client = self._make_span(CLIENT_SPAN, ROOT_SPAN, "GET cart", Span.SPAN_KIND_CLIENT, (100, 1700))
        server = self._make_span(SERVER_SPAN, CLIENT_SPAN, "GET /cart/{id}", Span.SPAN_KIND_SERVER, (520, 1220))
        client.attributes.extend(
            [
                _pair("network.peer.address", string_value=SERVER),
                _pair("network.peer.port", int_value=PORT),
                _pair("user.name", string_value="Zoë ✓"),
                _pair("retried", bool_value=False),
            ]
        )
        event = client.events.add(name="cache missed", time_unix_nano=(self.start_us + 120) * US)
        event.attributes.append(_pair("tries", int_value=2))
        server.status.code, server.status.message = Status.STATUS_CODE_ERROR, "no such cart"
        frontend = make_resource_spans([root, client], service="frontend")
        return make_request(frontend, make_resource_spans([server], service="cart"))

    def expect_spans(self) -> list[ZipkinSpan]:
        """Return what Zipkin must have of `make_spans`, in order of time. Zipkin itself makes names small."""
        tags = {"host.name": "node-1", "otel.scope.name": "app", "otel.scope.version": "1"}
        peer_tags = {"network.peer.address": SERVER, "network.peer.port": str(PORT)}
        client_tags = {**tags, **peer_tags, "user.name": "Zoë ✓", "retried": "false"}
        server_tags = {
            **tags,
            "otel.status_code": "ERROR",
            "otel.status_description": "no such cart",
            "error": "no such cart",
        }
        annotation = {"timestamp": self.start_us + 120, "value": '"cache missed":{"tries":2}'}
        frontend, cart = {"serviceName": "frontend"}, {"serviceName": "cart"}
        root = self._expect(ROOT_SPAN, "get /checkout", "SERVER", (0, 1900), frontend)
        client = self._expect(CLIENT_SPAN, "get cart", "CLIENT", (100, 1700), frontend)
        server = self._expect(SERVER_SPAN, "get /cart/{id}", "SERVER", (520, 1220), cart)
        return [
            root | {"tags": tags},
            client
            | {
                "parentId": ROOT_SPAN,
                "remoteEndpoint": {"ipv4": SERVER, "port": PORT},
                "annotations": [annotation],
                "tags": client_tags,
            },
            server | {"parentId": CLIENT_SPAN, "tags": server_tags},
        ]

    def make_zipkin_spans(self) -> list[ZipkinSpan]:
        """Return what applications of Zipkin's own libraries report: the server shares the client's id."""
        frontend = {"serviceName": "frontend", "ipv4": CLIENT}
        cart = {"serviceName": "cart", "ipv4": SERVER_POD, "port": PORT}
        root = self._expect(ROOT_SPAN, "get /checkout", "SERVER", (0, 1900), frontend)
        client = self._expect(CLIENT_SPAN, "get cart", "CLIENT", (100, 1700), frontend)
        server = self._expect(CLIENT_SPAN, "get /cart", "SERVER", (520, 1220), cart)
        work = self._expect("00000000000000d4", "read shelf", "", (600, 700), cart)
        return [
            root | {"tags": {"http.path": "/checkout", "user": "Zoë ✓"}},
            client
            | {
                "parentId": ROOT_SPAN,
                "remoteEndpoint": {"serviceName": "cart", "ipv4": SERVER, "port": PORT},
                "annotations": [{"timestamp": self.start_us + 130, "value": "ws"}],
            },
            server | {"parentId": ROOT_SPAN, "shared": True, "tags": {"error": "no such cart"}},
            work | {"parentId": CLIENT_SPAN},
        ]

    def make_transits(self) -> list[bytes]:
        """Return what the two nodes' probes send: a request from each."""
        near = (self._make_transit(REQUEST_NEAR, REQUEST), self._make_transit(RESPONSE_NEAR, RESPONSE))
        far = (self._make_transit(REQUEST_FAR, REQUEST), self._make_transit(RESPONSE_FAR, RESPONSE))
        offset_ns = self.start_us * US - MONOTONIC_NS
        return [
            encode_batch(TransitBatch(node, offset_ns, INTERFACES, transits), "1")
            for node, transits in ((NODE_1, near), (NODE_2, far))
        ]

    def expect_hops(self) -> list[dict[str, Any]]:
        """Return of every network span what is known of it, in order of time: no kind, no peer, the caller's name."""
        hops = []
        for direction, stamps in (
            ("request", REQUEST_NEAR | REQUEST_FAR),
            ("response", RESPONSE_FAR | RESPONSE_NEAR),
        ):
            times = list(stamps.values())
            for number, name in enumerate(_WAY):
                length_us = times[number + 1] - times[number]
                hops.append(
                    {
                        "traceId": self.trace_id,
                        "parentId": CLIENT_SPAN,
                        "name": name,
                        "timestamp": self.start_us + times[number],
                        "duration": length_us - 1,  # drawn with a gap to the neighbour
                        "localEndpoint": {"serviceName": "frontend"},
                        "tags": {
                            "hopspan.direction": direction,
                            "hopspan.from": _POINTS[number],
                            "hopspan.to": _POINTS[number + 1],
                            "hopspan.duration_ns": str(length_us * US),
                        },
                    }
                )
        return hops

    def _make_transit(self, points: dict[int, int], direction: Direction) -> Transit:
        trace_id, parent_id = bytes.fromhex(self.trace_id.zfill(32)), bytes.fromhex(CLIENT_SPAN)
        return make_transit(points, direction=direction, seq=9000, trace_id=trace_id, parent_id=parent_id)

    def _make_span(
        self, span_id: str, parent_id: str, name: str, kind: "Span.SpanKind.ValueType", times_us: tuple[int, int]
    ) -> Span:
        start_us, end_us = times_us
        span = make_span(
            bytes.fromhex(self.trace_id),
            bytes.fromhex(span_id),
            kind=kind,
            start_ns=(self.start_us + start_us) * US,
            end_ns=(self.start_us + end_us) * US,
            attributes=0,
        )
        span.name, span.parent_span_id = name, bytes.fromhex(parent_id)
        return span

    def _expect(
        self, span_id: str, name: str, kind: str, times_us: tuple[int, int], endpoint: dict[str, Any]
    ) -> ZipkinSpan:
        start_us, end_us = times_us
        span: ZipkinSpan = {
            "traceId": self.trace_id,
            "id": span_id,
            "name": name,
            "timestamp": self.start_us + start_us,
            "duration": end_us - start_us,
            "localEndpoint": endpoint,
        }
        return span | ({"kind": kind} if kind else {})


def _pair(key: str, **value: Any) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(**value))
