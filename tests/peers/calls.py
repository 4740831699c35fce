"""Made-up calls from `frontend` on one node to `cart` on another: the applications' spans, and the nodes' transits.

What is made is told in the terms of a backend: which spans there must be, and which hops under which parent.
"""

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from node_probe.transit import Direction, Transit
from node_probe.wire_batch import NodeIdentity, TransitBatch
from testbed.recorder import RecordedSpan
from tests.collector_plugin.builders import (
    FOREIGN_NODE,
    INTERFACES,
    MONOTONIC_NS,
    MS,
    NODE_1,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.node_probe.batch_reference import encode_batch
from tests.peers.backend import SCOPE

SERVER, CLIENT = 2, 3
ERROR = 2
APPLICATION_SPANS = ("GET /checkout", "GET cart", "GET /cart")
_WAY = ("veth-hop", "host-forward", "vxlan-encap", "underlay", "vxlan-decap", "host-forward", "veth-hop")
HOPS = (*_WAY, *_WAY)
"""Of one exchange, the request's and the response's."""


@dataclass(frozen=True)
class Call:
    """One trace: `number` gives it its ids; it lasts `duration_ns`, and fails or not.

    The wall clock of the other node is ahead by `skew_ns`.
    """

    number: int
    duration_ns: int = 40 * MS
    failed: bool = False
    start_ns: int = field(default_factory=time.time_ns)
    skew_ns: int = 0

    @property
    def trace_id(self) -> bytes:
        return self._make_id("trace", 16)

    @property
    def client_id(self) -> bytes:
        """Return the id of the span that waited."""
        return self._make_id("client", 8)

    def make_frontend(self) -> ResourceSpans:
        """Return the spans of the service that calls: what it was asked, and what it asked."""
        root_id = self._make_id("root", 8)
        root = self._make_span(APPLICATION_SPANS[0], root_id, b"", SERVER, -MS)
        client = self._make_span(APPLICATION_SPANS[1], self.client_id, root_id, CLIENT, 0)
        return _place(make_resource_spans([root, client], service="frontend"), NODE_1)

    def make_cart(self) -> ResourceSpans:
        """Return the span of the service that is called."""
        server = self._make_span(APPLICATION_SPANS[2], self._make_id("server", 8), self.client_id, SERVER, 2 * MS)
        server.start_time_unix_nano += self.skew_ns
        server.end_time_unix_nano += self.skew_ns
        return _place(make_resource_spans([server], service="cart"), FOREIGN_NODE)

    def make_near(self) -> Transit:
        """Return the request's transit at the caller's node."""
        return self._make_transit({1: 1000, 2: 1003, 3: 1010, 4: 1020}, Direction.REQUEST)

    def make_far(self) -> list[Transit]:
        """Return the transits at the other node."""
        end_us = self._end_us - 2000
        request = self._make_transit({5: 1120, 6: 1130, 7: 1140, 8: 1150}, Direction.REQUEST)
        points = {1: end_us, 2: end_us + 3, 3: end_us + 10, 4: end_us + 20}
        return [request, self._make_transit(points, Direction.RESPONSE)]

    def make_back(self) -> Transit:
        """Return the response's transit at the caller's node."""
        end_us = self._end_us - 1880
        return self._make_transit({5: end_us, 6: end_us + 10, 7: end_us + 20, 8: end_us + 30}, Direction.RESPONSE)

    def list_application_spans(self) -> list[tuple[bytes, str]]:
        """Return trace id and name of each."""
        return [(self.trace_id, name) for name in APPLICATION_SPANS]

    def list_all_spans(self) -> list[tuple[bytes, str]]:
        """Return trace id and name of each, the network's too."""
        return [*self.list_application_spans(), *((self.trace_id, name) for name in HOPS)]

    @property
    def _end_us(self) -> int:
        return self.duration_ns // 1000

    def _make_id(self, what: str, size: int) -> bytes:
        return hashlib.blake2b(f"{what} {self.number}".encode(), digest_size=size).digest()

    def _make_span(self, name: str, span_id: bytes, parent_id: bytes, kind: int, inside_ns: int) -> Span:
        span = make_span(
            self.trace_id,
            span_id,
            kind=kind,
            start_ns=self.start_ns + inside_ns,
            end_ns=self.start_ns + self.duration_ns - inside_ns,
        )
        span.name, span.parent_span_id = name, parent_id
        if self.failed:
            span.status.code = Status.STATUS_CODE_ERROR
        return span

    def _make_transit(self, points: dict[int, int], direction: Direction) -> Transit:
        seq = int.from_bytes(self._make_id(f"sequence number {direction}", 4), "big")
        return make_transit(points, direction=direction, seq=seq, trace_id=self.trace_id, parent_id=self.client_id)


def make_spans(calls: Iterable[Call]) -> bytes:
    """Return the applications' spans of the calls as one request."""
    return make_request(*(part for call in calls for part in (call.make_frontend(), call.make_cart())))


def make_transits(calls: Sequence[Call]) -> list[bytes]:
    """Return what the two nodes' probes send: a request from each. The calls have one start and one skew."""
    ((start_ns, skew_ns),) = {(call.start_ns, call.skew_ns) for call in calls}
    near = [transit for call in calls for transit in (call.make_near(), call.make_back())]
    far = [transit for call in calls for transit in call.make_far()]
    return [_make_batch(NODE_1, near, start_ns), _make_batch(FOREIGN_NODE, far, start_ns + skew_ns)]


def check_hops(spans: Iterable[RecordedSpan], call: Call) -> None:
    """Assert that the call has each of its hops once, under the span that waited, with its service, and inside it."""
    hops = [span for span in spans if span.trace_id == call.trace_id and span.scope == SCOPE]
    hops.sort(key=lambda hop: hop.start_ns)
    assert [hop.name for hop in hops] == list(HOPS)
    assert {hop.parent_id for hop in hops} == {call.client_id}
    assert {(hop.service, hop.kind) for hop in hops} == {("frontend", "INTERNAL")}
    assert all(call.start_ns <= hop.start_ns < hop.end_ns <= call.start_ns + call.duration_ns for hop in hops)


def _place(message: ResourceSpans, node: NodeIdentity) -> ResourceSpans:
    """Let the service run on the node."""
    for attribute in message.resource.attributes:
        if attribute.key == "host.name":
            attribute.value.string_value = node.host_name
    return message


def _make_batch(node: NodeIdentity, transits: Sequence[Transit], start_ns: int) -> bytes:
    batch = TransitBatch(node, start_ns - MONOTONIC_NS, INTERFACES, tuple(transits))
    return encode_batch(batch, "1")
