"""One direction of one flow, and its kept bursts: entries in a bytearray, in the order of their first stamps.

Pure. Entries have one length, that of the longest so far, so that they are found by a search.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator

from node_probe.kept_entries import (
    BITS_AT,
    ENTRY_BYTES,
    FOLLOWED,
    MAX_SHAPES,
    SEQ_AT,
    SHAPE_AT,
    KeptBurst,
    Shape,
    read_entry,
    read_times,
)
from node_probe.kernel_record import KernelRecordError

FOLLOWED_BACK = 8
"""Entries looked back at for the burst of a follower, which mostly is the last one."""

DIRECTION_BYTES = 900
"""Of memory beside the entries: objects, and places in the indexes of kept_flows. A test measures it."""

SHAPE_BYTES = 250
"""For each way that packets of a direction take: one, or two."""

_read_first = struct.Struct("<Q").unpack_from
_SEQ_AND_TSVAL = struct.Struct("<II")
_PORT = struct.Struct("=H")


def write_endpoint(port: int, address: bytes) -> bytes:
    """Return the bytes that an endpoint is known by: its port in the host's byte order, and its address."""
    return _PORT.pack(port) + address


def read_endpoint(endpoint: bytes) -> tuple[int, bytes]:
    """Return port and address of an endpoint."""
    return _PORT.unpack_from(endpoint)[0], endpoint[_PORT.size :]


class FlowDirection:
    """The bursts from one endpoint to another. Used by one thread."""

    __slots__ = ("_data", "_last_ns", "_stride", "charged_bytes", "destination", "shapes", "source")

    def __init__(self, source: bytes, destination: bytes) -> None:
        """Take both endpoints; see write_endpoint."""
        self.source = source
        self.destination = destination
        self.shapes: list[Shape] = []
        """By the number that entries have."""
        self.charged_bytes = 0
        """What `held_bytes` was when the keeper last looked."""
        self._data = bytearray()
        self._stride = ENTRY_BYTES
        self._last_ns = 0

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._data) // self._stride

    @property
    def held_bytes(self) -> int:
        """Return how much memory the direction takes, with the entries' room for more."""
        return DIRECTION_BYTES + SHAPE_BYTES * len(self.shapes) + self._data.__alloc__()

    @property
    def first_ns(self) -> int:
        """Return the stamp of the oldest entry, of which there must be one."""
        first_ns: int = _read_first(self._data)[0]
        return first_ns

    def number_shape(self, shape: Shape) -> int:
        """Return the number of a shape. Raises KernelRecordError where the direction has too many."""
        try:
            return self.shapes.index(shape)
        except ValueError:
            if len(self.shapes) >= MAX_SHAPES:
                raise KernelRecordError(f"packets of a direction take more than {MAX_SHAPES} ways") from None
            self.shapes.append(shape)
            return len(self.shapes) - 1

    def insert(self, entry: bytes) -> None:
        """Put an entry where it belongs by its first stamp."""
        if len(entry) != self._stride:
            entry = self._fit(entry)
        (first_ns,) = _read_first(entry)
        if first_ns >= self._last_ns:
            # Nearly always: they come in the order of their last stamps.
            self._data += entry
            self._last_ns = first_ns
        else:
            at = self.find(first_ns + 1) * self._stride
            self._data[at:at] = entry

    def mark_followed(self, follower: KeptBurst) -> bool:
        """Note that a burst is followed; return whether it was found."""
        found = False
        for number in range(len(self) - 1, max(-1, len(self) - 1 - FOLLOWED_BACK), -1):
            burst = self.read(number)
            if burst.number == follower.number and burst.seq == follower.seq and not burst.is_follower:
                self._data[number * self._stride + BITS_AT] |= FOLLOWED
                found = True
        return found

    def drop_before(self, limit_ns: int) -> int:
        """Let the entries go that began before; return how many."""
        count = self.find(limit_ns)
        del self._data[: count * self._stride]
        return count

    def find(self, start_ns: int) -> int:
        """Return the number of the first entry that began then or later."""
        data, stride = self._data, self._stride
        return bisect_left(range(len(self)), start_ns, key=lambda number: _read_first(data, number * stride)[0])

    def find_packet(self, seq: int, tsval: int) -> int | None:
        """Return the number of the newest burst that begins with that packet."""
        wanted = _SEQ_AND_TSVAL.pack(seq, tsval)
        end = len(self._data)
        while (at := self._data.rfind(wanted, 0, end)) >= 0:
            number, offset = divmod(at, self._stride)
            if offset == SEQ_AT and not self.read(number).is_follower:
                return number
            end = at + len(wanted) - 1
        return None

    def read(self, number: int) -> KeptBurst:
        """Return one burst."""
        return read_entry(self._data, number * self._stride)

    def read_range(self, first: int, last: int) -> Iterator[KeptBurst]:
        """Yield the bursts from one number to another, as far as there are any."""
        return map(self.read, range(max(first, 0), min(last, len(self))))

    def read_stamps(self, number: int) -> tuple[Shape, list[int]]:
        """Return the shape of an entry, and its stamps in the order of points."""
        entry = bytes(self._data[number * self._stride : (number + 1) * self._stride])
        shape = self.shapes[entry[SHAPE_AT]]
        return shape, read_times(entry, len(shape[1]))

    def _fit(self, entry: bytes) -> bytes:
        if len(entry) > self._stride:
            old, width = self._stride, len(entry)
            entries = (self._data[at : at + old].ljust(width, b"\0") for at in range(0, len(self._data), old))
            self._data, self._stride = bytearray().join(entries), width
        return entry.ljust(self._stride, b"\0")
