"""What one ResourceSpans of a request holds: spans that can be parents, and transits, which are cut out of it.

Pure.
"""

from typing import TYPE_CHECKING

from collector_plugin.packed_spans import PackedSpans, join_packed
from collector_plugin.parent_schema import ParsedScopeSpans
from collector_plugin.span_walk import Field, has_attribute
from hopspan.protowire import write_length
from node_probe.wire_batch import RECORD_KEY

if TYPE_CHECKING:
    from collector_plugin.flow_names import NamedFlow

_RECORD_KEY = RECORD_KEY.encode()

# Field numbers of ResourceSpans and ScopeSpans.
_SCOPE_SPANS = 2
_SCOPE, _SPAN = 1, 2

Cut = tuple[int, int, bytes]
"""Begin and stop of what is replaced, and what stands there instead."""


class FoundSpans:
    """What one ResourceSpans holds."""

    def __init__(self) -> None:
        self.spans: list[PackedSpans] = []
        self.peers: dict[bytes, bytes] = {}
        self.flows: list[NamedFlow] = []
        self.transits: list[bytes] = []
        self.transit_count = 0
        self.cuts: list[Cut] = []

    def take_parsed(self, parsed: ParsedScopeSpans) -> None:
        """Take what the library read."""
        self.spans.append(parsed.spans)
        self.peers.update(parsed.peers)
        self.flows += parsed.flows

    def join_spans(self) -> PackedSpans:
        """Return all spans that can be parents."""
        return join_packed(self.spans)

    def take_all(self, data: bytes, field: Field, count: int) -> None:
        """Take the whole ScopeSpans `field`, whose `count` spans are transits."""
        self.transits.append(data[field[1] : field[3]])
        self.transit_count += count
        self.cuts.append((field[1], field[3], b""))

    def take_transits(self, data: bytes, field: Field, parts: list[Field]) -> list[Field]:
        """Take the transits out of the ScopeSpans `field`, whose parts are `parts`; return its other spans."""
        transits: list[Field] = []
        others: list[Field] = []
        for part in parts:
            if part[0] == _SPAN:
                (transits if has_attribute(data, part[2], part[3], _RECORD_KEY) else others).append(part)
        if not transits:
            return others
        scope = [data[part[1] : part[3]] for part in parts if part[0] == _SCOPE]
        self.transits.append(write_length(_SCOPE_SPANS, b"".join([*scope, *(data[t[1] : t[3]] for t in transits)])))
        self.transit_count += len(transits)
        rest = b""
        if others:
            rest = write_length(_SCOPE_SPANS, cut(data, field[2], field[3], [(t[1], t[3], b"") for t in transits]))
        self.cuts.append((field[1], field[3], rest))
        return others


def cut(data: bytes, start: int, end: int, cuts: list[Cut]) -> bytes:
    """Return data[start:end] with each (begin, stop) replaced; the cuts are in order."""
    kept: list[bytes] = []
    for begin, stop, replacement in cuts:
        kept += (data[start:begin], replacement)
        start = stop
    kept.append(data[start:end])
    return b"".join(kept)
