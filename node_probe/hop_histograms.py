"""Distributions of the hops' durations by hop and direction, as the metrics page shows them: raw records -> counts.

Pure. The agent hands over every record that it reads, so nothing here is done per record but by C functions of the
interpreter over a whole reading: some half a microsecond a transit. Trace ids are read only when the page is.
"""

import itertools
import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import add, itemgetter, sub

import msgspec

from hopspan.hop_bounds import BOUNDS_NS
from node_probe.context import ContextError
from node_probe.hop_names import name_hop
from node_probe.kernel_record import (
    KIND_BYTES,
    RECORD_BYTES,
    RECORD_FIELDS,
    KernelRecordError,
    check_kind,
    decode_kernel_record,
    offset_of,
)
from node_probe.transit import Direction, Point, Tunnel

PART_RECORDS = 500
"""Records taken together: what the processor's cache holds, and enough that the work for each part is little."""

MAX_KINDS = 256
"""Kinds of records remembered; a node has one for each kind of way and direction, some ten."""

HopName = tuple[str, str]
"""The hop, and the direction of its message: at most 16 of them."""


class Example(msgspec.Struct, frozen=True, gc=False):
    """One hop that was measured, and the kernel's record that it stands in."""

    duration_ns: int
    epoch_ns: int
    """When it ended."""
    record: bytes

    def read_trace_id(self) -> bytes | None:
        """Return the 16 bytes of the trace id, None where the record's context is not valid, or not sampled."""
        try:
            transit = decode_kernel_record(self.record)
        except ContextError:
            return None
        return None if transit is None else transit.context.trace_id


class Distribution(msgspec.Struct, frozen=True):
    """All durations of one hop up to now. Replaced as a whole, so that another thread reads what belongs together."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_NS) + 1)
    """By bucket, one for each bound and the last for what is longer."""
    sum_ns: int = 0
    examples: tuple[Example | None, ...] = (None,) * (len(BOUNDS_NS) + 1)
    """The newest of each bucket among those that were the slowest of their part of a reading."""


class HopHistograms:
    """The distributions of one node's hops. Written by one thread; others may read."""

    def __init__(self) -> None:
        """Start with none: a hop appears once it was measured."""
        self._distributions: dict[HopName, Distribution] = {}
        self._kinds: dict[bytes, _Kind] = {}

    def observe(self, records: Sequence[bytes], epoch_offset_ns: int) -> None:
        """Count the hops of the kernel's records; one that is none of ours is left out."""
        for start in range(0, len(records), PART_RECORDS):
            part = records[start : start + PART_RECORDS]
            groups: defaultdict[bytes, list[bytes]] = defaultdict(list)
            for kind_bytes, record in zip(map(_get_kind, part), part, strict=True):
                groups[kind_bytes].append(record)
            for kind_bytes, group in groups.items():
                kind = self._kinds.get(kind_bytes) or self._add_kind(kind_bytes)
                if kind.hops:
                    self._observe_group(kind, group, epoch_offset_ns)

    def read(self) -> dict[HopName, Distribution]:
        """Return what was measured up to now."""
        return dict(self._distributions)

    def _observe_group(self, kind: "_Kind", group: Sequence[bytes], epoch_offset_ns: int) -> None:
        try:
            columns = list(zip(*map(kind.read_times, group), strict=True))
        except struct.error:
            return  # one is cut, or has something behind it, which is no record of the programs: the agent tells
        measured = [list(map(sub, stop_ns, start_ns)) for start_ns, stop_ns in itertools.pairwise(columns)]
        # Sorted they are counted by a search for each bound, not by one for each duration.
        ordered = list(map(sorted, measured))
        if min(map(itemgetter(0), ordered)) < 0:
            self._observe_odd(kind, group, epoch_offset_ns)
            return
        for number, hop in enumerate(kind.hops):
            slowest_ns = ordered[number][-1]
            at = measured[number].index(slowest_ns)
            self._add(hop, ordered[number], Example(slowest_ns, columns[number + 1][at] + epoch_offset_ns, group[at]))

    def _observe_odd(self, kind: "_Kind", group: Sequence[bytes], epoch_offset_ns: int) -> None:
        """Take the records singly: a route led some packet through the points in another order than their numbers."""
        for record in group:
            met = sorted(zip(kind.read_times(record), kind.points, strict=True))
            for (start_ns, start), (stop_ns, stop) in itertools.pairwise(met):
                duration_ns = stop_ns - start_ns
                hop = name_hop(start, stop, kind.tunnel)[0], kind.direction
                self._add(hop, [duration_ns], Example(duration_ns, stop_ns + epoch_offset_ns, record))

    def _add(self, hop: HopName, ordered: list[int], slowest: Example) -> None:
        before = self._distributions.get(hop, _EMPTY)
        ends = [bisect_right(ordered, bound_ns) for bound_ns in BOUNDS_NS]
        counts = map(sub, [*ends, len(ordered)], [0, *ends])
        examples = list(before.examples)
        examples[bisect_left(BOUNDS_NS, slowest.duration_ns)] = slowest
        self._distributions[hop] = Distribution(
            tuple(map(add, before.counts, counts)), before.sum_ns + sum(ordered), tuple(examples)
        )

    def _add_kind(self, kind_bytes: bytes) -> "_Kind":
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        kind = self._kinds[kind_bytes] = _read_kind(kind_bytes)
        return kind


class _Kind(msgspec.Struct, frozen=True):
    """What records have in common that begin with the same KIND_BYTES."""

    points: tuple[Point, ...]
    direction: str
    tunnel: Tunnel
    hops: tuple[HopName, ...]
    """Those between each two of the points; none where there is one point, or where the kind is none of ours."""
    read_times: Callable[[bytes], tuple[int, ...]]
    """Raises struct.error where the bytes are not as many as a record has."""


_EMPTY = Distribution()
_get_kind = itemgetter(slice(KIND_BYTES))


def _read_kind(kind: bytes) -> _Kind:
    try:
        # Of a record that is cut the agent tells.
        check_kind(kind, RECORD_BYTES if len(kind) == KIND_BYTES else 0)
    except KernelRecordError:
        return _Kind((), "", Tunnel.NONE, (), lambda _: ())
    _, direction, seen, _, tunnel, _ = kind
    points = tuple(point for point in Point if seen >> (point - 1) & 1)
    codes = f"={offset_of(RECORD_FIELDS, 'monotonic_ns')}x" + "".join("Q" if p in points else "8x" for p in Point)
    read_times = struct.Struct(f"{codes}{RECORD_BYTES - struct.calcsize(codes)}x").unpack
    names = [name_hop(start, stop, Tunnel(tunnel))[0] for start, stop in itertools.pairwise(points)]
    label = Direction(direction).label
    return _Kind(points, label, Tunnel(tunnel), tuple((name, label) for name in names), read_times)
