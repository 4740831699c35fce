"""The network span as a value, for any exporter's codec.

Pure. Its kind is always INTERNAL, and its parent an application span of the same trace.
"""

import enum

import msgspec


class Detail(enum.StrEnum):
    """How many network spans an exchange gets."""

    HOPS = "hops"
    SUMMARY = "summary"
    SLOW = "slow"


DURATION_KEY = "hopspan.duration_ns"

AttributeValue = str | int | bool | tuple[str, ...]
Pair = tuple[str, AttributeValue]


class Attributes:
    """Attributes in a fixed order, for Jaeger takes two spans for one only where their bytes are equal.

    Not to be changed: spans share them.
    """

    __slots__ = ("encoded", "pairs")

    def __init__(self, *pairs: Pair) -> None:
        """Hold `pairs` of key and value."""
        self.pairs = pairs
        self.encoded = (0, b"")
        """The codec's own: the field number that it wrote them under last, and what it wrote."""

    def __eq__(self, other: object) -> bool:
        """Compare what they hold."""
        return isinstance(other, Attributes) and self.pairs == other.pairs

    def __hash__(self) -> int:
        """Return a hash of what they hold."""
        return hash(self.pairs)

    def __repr__(self) -> str:
        """Return what they hold."""
        return f"Attributes{self.pairs}"


class SpanEvent(msgspec.Struct, frozen=True):
    """One hop of a span that stands for several."""

    name: str
    time_ns: int
    groups: tuple[Attributes, ...]


class NetworkSpan(msgspec.Struct, frozen=True, gc=False):
    """A hop as a span, or all hops of a message with one event each."""

    trace_id: bytes
    parent_id: bytes
    span_id: bytes
    flags: int
    name: str
    start_ns: int
    end_ns: int
    duration_ns: int
    """The exact time between two stamps: start and end are drawn, and may be cut. An attribute too, the only one that
    is no other span's as well: so it stands apart from the groups."""
    groups: tuple[Attributes, ...]
    """One or more; behind the first stands the duration."""
    events: tuple[SpanEvent, ...] = ()

    @property
    def attributes(self) -> tuple[Pair, ...]:
        """Return all attributes in their order."""
        first, *rest = self.groups
        return (*first.pairs, (DURATION_KEY, self.duration_ns), *(pair for group in rest for pair in group.pairs))


class Emission(msgspec.Struct, frozen=True):
    """Network spans of one parent."""

    resource: bytes
    """The fields `resource` and `schema_url` of the parent's ResourceSpans, byte for byte."""
    spans: tuple[NetworkSpan, ...]
