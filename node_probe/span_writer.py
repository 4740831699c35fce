"""Writes the kernel's records as OTLP spans: bytes of the ring -> bytes of `Span`, with no value in between.

Pure. A record costs some microseconds here, and that is most of what the agent costs: so what can be known before is
in span_layout, and what occurs again is remembered. The protobuf library's own bytes are the tests' reference.
"""

import struct
from binascii import unhexlify
from collections.abc import Mapping, Sequence

import msgspec

from node_probe.context import PLAIN, ContextError, match_traceparent, read_fields
from node_probe.kernel_record import CONTEXT_TEXT_MAX, KIND_BYTES, RECORD_BYTES, KernelRecordError, check_kind
from node_probe.span_layout import FLAGS, Layout, Place, read_context, read_fixed
from node_probe.transit import TRANSIT_ID_PREFIX, ContextFormat, derive_id

MAX_LAYOUTS = 256
MAX_PLACES = 4096
"""Remembered at once, some 300 bytes each; a node has one layout for each kind of way, and a place for each pod."""

_TEXT_OFFSET = RECORD_BYTES - CONTEXT_TEXT_MAX
_TRACEPARENT = bytes([ContextFormat.TRACEPARENT, PLAIN])


class SpanBatch(msgspec.Struct, frozen=True):
    """Transits that are ready to be sent."""

    spans: bytes
    """Fields `spans` of a ScopeSpans, one behind the other."""
    count: int
    """How many spans, at least one."""
    ifindexes: frozenset[int]
    """The interfaces that occur in the stamps, unique within the node."""


class Written(msgspec.Struct, frozen=True):
    """What became of some records."""

    batch: SpanBatch | None
    """None where no record had a readable context that is sampled."""
    bad_contexts: int
    unsampled: int
    """Contexts that are not sampled: the kernel lets through those whose coded flag it cannot tell."""
    bad_records: tuple[KernelRecordError, ...]


class SpanWriter:
    """Writes the records of one node. Used by one thread."""

    def __init__(self, node: str) -> None:
        """`node` is the name that goes into the spans' ids."""
        self._id_suffix = node.encode()
        self._hosts_of_pods: Mapping[int, Sequence[int]] = {}
        self._layouts: dict[bytes, Layout] = {}

    def use_hosts(self, hosts_of_pods: Mapping[int, Sequence[int]]) -> None:
        """Name the pods' devices by these host ends from now on; see identify_interfaces."""
        if hosts_of_pods != self._hosts_of_pods:
            self._hosts_of_pods = hosts_of_pods
            self._layouts.clear()

    def write(self, records: Sequence[bytes], epoch_offset_ns: int) -> Written:
        """Return the spans of the kernel's records; CLOCK_MONOTONIC and the offset make the spans' times."""
        bad_records: list[KernelRecordError] = []
        spans: list[bytes] = []
        places: set[Place] = set()
        bad_contexts = unsampled = 0
        for record in records:
            try:
                place = self._write_record(record, epoch_offset_ns, spans)
            except KernelRecordError as error:
                bad_records.append(error)
            except ContextError:
                bad_contexts += 1
            else:
                if place is not None:
                    places.add(place)
                else:
                    unsampled += 1
        ifindexes = frozenset().union(*(place.ifindexes for place in places))
        batch = SpanBatch(b"".join(spans), len(spans), ifindexes) if spans else None
        return Written(batch, bad_contexts, unsampled, tuple(bad_records))

    def _write_record(self, record: bytes, epoch_offset_ns: int, spans: list[bytes]) -> Place | None:
        """Append the span of a record, and return its place; None where it is not sampled.

        Raises KernelRecordError or ContextError.
        """
        try:
            coding, length, stream, trace_hex, parent_hex, flags = read_context(record)
        except struct.error:
            check_kind(record[:KIND_BYTES], len(record))
            raise
        layout = self._layouts.get(record[:KIND_BYTES] + coding) or self._add_layout(record, coding)
        if coding != _TRACEPARENT:
            text = record[_TEXT_OFFSET : _TEXT_OFFSET + length]
            trace_hex, parent_hex, flags = read_fields(coding[0], coding[1], text)
        elif not match_traceparent(record, _TEXT_OFFSET, _TEXT_OFFSET + length):
            raise ContextError("traceparent is malformed")
        flags_field = FLAGS.get(flags)
        if flags_field is None:
            return None
        ifindexes = layout.read_ifindexes(record)
        place = layout.places.get(ifindexes) or self._add_place(layout, ifindexes)
        slots = place.slots.copy()
        times = layout.read_times(record)
        # Points are numbered along the way of a packet, so this is their order already, but for odd routes.
        ordered = sorted(times)
        if ordered != [*times]:
            slots = _sort_slots(slots, times)
        slots[1::2] = ordered
        trace_id, parent_id = unhexlify(trace_hex), unhexlify(parent_hex)
        client_port, server_port, order, vni, client, server, outer = read_fixed(record)
        message = (trace_id, parent_id, layout.direction, order, client_port, client, stream)
        span_id = derive_id(b"".join((TRANSIT_ID_PREFIX, *message, self._id_suffix)))
        start_ns, end_ns = ordered[0] + epoch_offset_ns, ordered[-1] + epoch_offset_ns
        c_trace, c_span, c_parent, c_start, c_end, c_order, c_vni = layout.constants
        try:
            # fmt: off
            body = layout.pack_body(
                c_trace, trace_id, c_span, span_id, c_parent, parent_id, c_start, start_ns, c_end, end_ns,
                c_order, order, client_port, server_port, client, server, c_vni, vni, outer, stream,
            )
            # fmt: on
        except struct.error as error:
            raise KernelRecordError("a stamp lies beyond what 64 bits of epoch time hold") from error
        spans.append(body + layout.pack_stamps(*slots) + flags_field)
        return place

    def _add_layout(self, record: bytes, coding: bytes) -> Layout:
        kind = record[:KIND_BYTES] + coding
        layout = Layout(record[:KIND_BYTES], coding[0])
        if len(self._layouts) >= MAX_LAYOUTS:
            self._layouts.clear()
        self._layouts[kind] = layout
        return layout

    def _add_place(self, layout: Layout, ifindexes: tuple[int, ...]) -> Place:
        place = Place(dict(zip(layout.points, ifindexes, strict=True)), self._hosts_of_pods)
        if len(layout.places) >= MAX_PLACES:
            layout.places.clear()
        layout.places[ifindexes] = place
        return place


def _sort_slots(slots: Sequence[bytes | int], times: Sequence[int]) -> list[bytes | int]:
    heads = [slots[2 * number] for number in sorted(range(len(times)), key=times.__getitem__)]
    return [slot for head in heads for slot in (head, 0)]
