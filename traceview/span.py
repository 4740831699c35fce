"""The span value that everything here draws, and what the attributes of a network span say.

Pure: no IO, no clock. Ids are bytes (trace 16, span 8, b"" for no parent), times are ns since the epoch.
"""

from collections.abc import Mapping
from enum import IntEnum

import msgspec

NETWORK_SCOPE = "hopspan"
"""Instrumentation scope of network spans; a span of any other scope belongs to an application or a sidecar."""

POINTS = (
    "pod-egress",
    "veth-ingress",
    "overlay-egress",
    "nic-egress",
    "nic-ingress",
    "overlay-ingress",
    "veth-egress",
    "pod-ingress",
)
"""The points in the order in which a message meets them, request and response alike."""

AttributeValue = str | bool | int | float | bytes | tuple[str, ...]
Attributes = Mapping[str, AttributeValue]


class SpanKind(IntEnum):
    """Values of the enum `Span.SpanKind` of OTLP."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Direction(IntEnum):
    """Which message of an exchange a network span belongs to."""

    REQUEST = 0
    RESPONSE = 1

    @property
    def label(self) -> str:
        """Return `request` or `response`, the values of `hopspan.direction`."""
        return self.name.lower()


class Span(msgspec.Struct, frozen=True):
    """One span as its file tells it; `resource` and `attributes` are not to be changed."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    scope: str = ""
    failed: bool = False
    """The status is ERROR."""
    resource: Attributes = msgspec.field(default_factory=dict)
    attributes: Attributes = msgspec.field(default_factory=dict)

    @property
    def is_network(self) -> bool:
        """Say whether this is a network span: one hop, measured by hopspan."""
        return self.scope == NETWORK_SCOPE

    @property
    def service(self) -> str:
        """Return `service.name` of the resource, `unknown` where it is absent."""
        return read_text(self.resource, "service.name") or "unknown"

    @property
    def node(self) -> str:
        """Return the node where the span was measured, "" where nothing tells it."""
        places = (self.attributes, "hopspan.node"), (self.attributes, "k8s.node.name")
        hosts = (self.resource, "k8s.node.name"), (self.resource, "host.name")
        return next((text for held, key in (*places, *hosts) if (text := read_text(held, key))), "")

    @property
    def device(self) -> str:
        """Return `network.interface.name`, "" where it is absent."""
        return read_text(self.attributes, "network.interface.name")

    @property
    def duration_ns(self) -> int:
        """Return the exact duration.

        A hop's start and end are shaped for the backends, its exact duration is an attribute. Never negative.
        """
        exact = self.attributes.get("hopspan.duration_ns") if self.is_network else None
        return max(0, exact if isinstance(exact, int) else self.end_ns - self.start_ns)

    @property
    def direction(self) -> Direction:
        """Return the direction of a network span; what does not say `response` counts as a request."""
        says_response = read_text(self.attributes, "hopspan.direction") == Direction.RESPONSE.label
        return Direction.RESPONSE if says_response else Direction.REQUEST

    @property
    def attempt(self) -> int:
        """Return which sending of the message the hop belongs to, from 1."""
        attempt = self.attributes.get("hopspan.attempt")
        return attempt if isinstance(attempt, int) else 1

    @property
    def clipped(self) -> bool:
        """Say whether the hop was cut to lie inside its parent."""
        return is_set(self.attributes, "hopspan.clipped")

    @property
    def missed(self) -> str:
        """Return the points that were not seen inside this hop, "" for none."""
        return read_text(self.attributes, "hopspan.missed") if is_set(self.attributes, "hopspan.missed") else ""


def read_text(attributes: Attributes, key: str) -> str:
    """Return an attribute as text: a list joined by commas, bytes as hex, "" where it is absent."""
    value = attributes.get(key, "")
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return value.hex() if isinstance(value, bytes) else str(value)


def is_set(attributes: Attributes, key: str) -> bool:
    """Say whether an attribute is there and neither false, 0 nor empty."""
    return attributes.get(key, False) not in (False, 0, "", "false", ())


def drawing_order(span: Span) -> tuple[int, int, int, int]:
    """Return the key that puts siblings into the order in which things happened.

    Spans that start together, as cut hops do, go request, application, response; hops by the point they start from.
    """
    if not span.is_network:
        return span.start_ns, 1, 0, 0
    start_point = read_text(span.attributes, "hopspan.from")
    place = POINTS.index(start_point) if start_point in POINTS else len(POINTS)
    return span.start_ns, 2 * span.direction, span.attempt, place
