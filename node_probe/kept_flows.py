"""The bursts without a context that stay on the node until a span claims them: bounded in time and in bytes.

Pure; `now_ns` is CLOCK_MONOTONIC. Oldest out first, by a second of a direction at once: that costs next to nothing.
"""

import heapq
import itertools
import struct
from collections.abc import Sequence

import msgspec

from node_probe.flow_direction import FlowDirection
from node_probe.kept_entries import BITS_AT, FOLLOWER, EntryWriter, read_entry
from node_probe.kernel_record import RECORD_FIELDS, KernelRecordError, offset_of

DEFAULT_MEMORY_MIB = 32
DEFAULT_KEEP_NS = 60 * 10**9

SLICE_NS = 10**9
"""What of a direction goes at once."""

MAX_FOUND = 16
"""Directions of one endpoint that are looked at; a client's port has one, some more where it is used again."""

_read_flow = struct.Struct(f"={offset_of(RECORD_FIELDS, 'client_port')}x2s2s10x4x16s16s").unpack_from


class Kept(msgspec.Struct, frozen=True):
    """What became of some records."""

    bursts: int
    """Those that are kept now."""
    displaced: int
    """Older ones that had to go for them."""
    bad_records: tuple[KernelRecordError, ...]


class KeptFlows:
    """The kept bursts of a node. Used by one thread; count, direction_count and held_bytes may be read by another."""

    def __init__(self, max_bytes: int = DEFAULT_MEMORY_MIB << 20, keep_ns: int = DEFAULT_KEEP_NS) -> None:
        """Keep up to so many bytes, and each burst so long."""
        self.count = 0
        """Bursts and followers that are kept."""
        self.held_bytes = 0
        self.complete_since_ns = 0
        """What began before may have been let go, be it old or displaced."""
        self._max_bytes = max_bytes
        self._keep_ns = keep_ns
        self._writer = EntryWriter()
        self._directions: dict[bytes, FlowDirection] = {}
        self._by_source = _Index()
        self._by_destination = _Index()
        self._due: list[tuple[int, int, FlowDirection]] = []
        self._serial = 0

    @property
    def direction_count(self) -> int:
        """Return how many directions of flows have bursts."""
        return len(self._directions)

    def keep(self, records: Sequence[bytes]) -> Kept:
        """Keep the kernel's records of bursts and followers."""
        bad_records: list[KernelRecordError] = []
        for record in records:
            try:
                self._keep_record(record)
            except KernelRecordError as error:
                bad_records.append(error)
        displaced = 0
        while self.held_bytes > self._max_bytes and self._due:
            displaced += self._drop_slice(self._due[0][2].first_ns + SLICE_NS)
        return Kept(len(records) - len(bad_records), displaced, tuple(bad_records))

    def expire(self, now_ns: int) -> int:
        """Let go what is too old; return how many that were."""
        limit_ns = now_ns - self._keep_ns
        expired = 0
        while self._due and self._due[0][0] < limit_ns:
            expired += self._drop_slice(limit_ns, limit_ns + SLICE_NS)
        return expired

    def find_from(self, source: bytes) -> tuple[FlowDirection, ...]:
        """Return the directions that begin at an endpoint (see flow_direction.write_endpoint), MAX_FOUND at most."""
        return self._by_source.find(source)

    def find_to(self, destination: bytes) -> tuple[FlowDirection, ...]:
        """Return the directions that end at an endpoint, MAX_FOUND at most."""
        return self._by_destination.find(destination)

    def _keep_record(self, record: bytes) -> None:
        shape = self._writer.read_shape(record)
        source_port, destination_port, source, destination = _read_flow(record)
        source, destination = source_port + source, destination_port + destination
        key = source + destination
        found = self._directions.get(key)
        direction = found or FlowDirection(source, destination)
        entry = self._writer.write(record, direction.number_shape(shape))
        if entry[BITS_AT] & FOLLOWER and direction.mark_followed(read_entry(entry)):
            return
        direction.insert(entry)
        self.count += 1
        if found is None:
            self._directions[key] = direction
            self._by_source.add(source, direction)
            self._by_destination.add(destination, direction)
            self._queue(direction, direction.first_ns)
        self._charge(direction, direction.held_bytes)

    def _queue(self, direction: FlowDirection, due_ns: int) -> None:
        self._serial += 1
        heapq.heappush(self._due, (due_ns, self._serial, direction))

    def _charge(self, direction: FlowDirection, held_bytes: int) -> None:
        self.held_bytes += held_bytes - direction.charged_bytes
        direction.charged_bytes = held_bytes

    def _drop_slice(self, limit_ns: int, due_ns: int = 0) -> int:
        """Let the entries of the direction that is due go that began before the limit; return how many."""
        _, _, direction = heapq.heappop(self._due)
        dropped = direction.drop_before(limit_ns)
        self.count -= dropped
        self.complete_since_ns = max(self.complete_since_ns, limit_ns)
        if len(direction):
            self._queue(direction, max(direction.first_ns, due_ns))
            self._charge(direction, direction.held_bytes)
        else:
            del self._directions[direction.source + direction.destination]
            self._by_source.remove(direction.source, direction)
            self._by_destination.remove(direction.destination, direction)
            self._charge(direction, 0)
        return dropped


class _Index:
    """Directions by one of their endpoints. A client's endpoint has one mostly, a server's has as many as clients."""

    def __init__(self) -> None:
        self._found: dict[bytes, FlowDirection | dict[FlowDirection, None]] = {}

    def add(self, endpoint: bytes, direction: FlowDirection) -> None:
        found = self._found.setdefault(endpoint, direction)
        if isinstance(found, dict):
            found[direction] = None
        elif found is not direction:
            self._found[endpoint] = {found: None, direction: None}

    def remove(self, endpoint: bytes, direction: FlowDirection) -> None:
        found = self._found[endpoint]
        if isinstance(found, dict):
            del found[direction]
        if not isinstance(found, dict) or not found:
            del self._found[endpoint]

    def find(self, endpoint: bytes) -> tuple[FlowDirection, ...]:
        found = self._found.get(endpoint, ())
        # A server's endpoint is nothing to claim by, and would take as long as it has clients.
        return (found,) if isinstance(found, FlowDirection) else tuple(itertools.islice(found, MAX_FOUND))
