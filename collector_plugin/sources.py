"""Who sent a transit, as far as a node can tell; and where too much waits, who has to give way.

Pure. Whoever floods, with whatever contexts, displaces himself.
"""

from collections.abc import Iterable

from node_probe.transit import Direction, Point
from node_probe.wire_record import HEAD_BYTES

SOURCES = 4096
"""Sources told apart, by a hash that no sender can know: of twenty that flood, one honest in 200 shares the fate."""

_LAST_OUTGOING = int(Point.NIC_EGRESS)
_REQUEST = int(Direction.REQUEST)


def find_source(node: str, record: bytes) -> int:
    """Return the source of a checked record: its device, or behind the wire the address."""
    if record[HEAD_BYTES] <= _LAST_OUTGOING:
        sender = record[HEAD_BYTES + 4 : HEAD_BYTES + 8]
    else:
        sender = record[16:32] if record[1] == _REQUEST else record[32:48]
    return hash((node, sender)) % SOURCES


def find_level(counts: Iterable[int], wanted: int) -> int:
    """Return how much each may keep at most so that `wanted` or more go; of all together there must be so many."""
    together = 0
    descending = sorted(counts, reverse=True)
    for number, (count, following) in enumerate(zip(descending, [*descending[1:], 0], strict=True), 1):
        together += count
        level = (together - wanted) // number
        if level >= following:
            return level
    return 0
