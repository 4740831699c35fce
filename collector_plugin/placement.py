"""Places a hop on the parent's time line, so that Jaeger and Zipkin draw it where it was and complain of nothing.

Pure. All times are epoch nanoseconds.
"""

import msgspec

from collector_plugin.halves import MAX_TIME_NS
from collector_plugin.parent import Parent

MIN_SPAN_NS = 1_000
"""Both UIs count in microseconds, and Zipkin knows no shorter duration."""

GAP_NS = 1_000
"""How much earlier a hop ends: Jaeger's critical path keeps only neighbours that do not touch (strict `<`, in us)."""

MIN_GAPPED_NS = 3_000
"""Below it the gap would be a third of the hop or more; then Jaeger's critical path may skip a neighbour."""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where a hop is drawn."""

    start_ns: int
    end_ns: int
    is_clipped: bool = False
    """Whether it had to be cut or moved to lie inside the parent."""


def find_room(parent: Parent) -> tuple[int, int]:
    """Return from when to when a hop of MIN_GAPPED_NS or more is drawn as it is, but for the gap: nearly all are."""
    is_usual = parent.start_ns > 0 and parent.end_ns <= MAX_TIME_NS
    return (parent.start_ns, parent.end_ns) if is_usual else (1, 0)


def place_hop(from_ns: int, to_ns: int, parent: Parent) -> Placement:
    """Return the start and end of the span that shows the hop from `from_ns` to `to_ns` under `parent`."""
    end_ns = to_ns - GAP_NS if to_ns - from_ns >= MIN_GAPPED_NS else to_ns
    start_ns = max(0, min(from_ns, MAX_TIME_NS - MIN_SPAN_NS))
    end_ns = min(max(end_ns, start_ns + MIN_SPAN_NS), MAX_TIME_NS)
    if not _has_times(parent):
        return Placement(start_ns, end_ns)
    clipped = _clip(start_ns, end_ns, parent.start_ns, max(parent.start_ns, parent.end_ns))
    return Placement(*clipped, is_clipped=clipped != (start_ns, end_ns))


def lies_inside(from_ns: int, to_ns: int, parent: Parent) -> bool:
    """Tell whether the hop lies inside the parent as it is."""
    return _has_times(parent) and parent.start_ns <= from_ns and to_ns <= parent.end_ns


def _has_times(parent: Parent) -> bool:
    # An application that sets no time, or one beyond int64, gives nothing to clip to.
    return 0 < parent.start_ns <= MAX_TIME_NS - MIN_SPAN_NS and 0 < parent.end_ns <= MAX_TIME_NS


def _clip(start_ns: int, end_ns: int, low_ns: int, high_ns: int) -> tuple[int, int]:
    start_ns = min(max(start_ns, low_ns), high_ns)
    end_ns = min(max(end_ns, low_ns), high_ns)
    if end_ns - start_ns >= MIN_SPAN_NS:
        return start_ns, end_ns
    start_ns = max(low_ns, min(start_ns, high_ns - MIN_SPAN_NS))
    end_ns = min(high_ns, start_ns + MIN_SPAN_NS)
    # A parent shorter than 1 us cannot hold one; Jaeger still wants an end behind the start.
    return start_ns, max(end_ns, start_ns + 1)
