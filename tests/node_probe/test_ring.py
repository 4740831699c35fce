"""The ring's reader, on a file with the layout of kernel/bpf/ringbuf.c that the test writes as the kernel would."""

import mmap
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_probe.ring import ORDERED_MACHINES, RingReader

PAGE = mmap.PAGESIZE
DATA_BYTES = 4 * PAGE
BUSY, DISCARD = 1 << 31, 1 << 30

pytestmark = pytest.mark.skipif(
    platform.machine() not in ORDERED_MACHINES, reason=f"the reader refuses {platform.machine()}"
)


class Ring:
    """The kernel's side. Both copies of the data are written, which the kernel maps to the same pages."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("ring")
        os.ftruncate(self.fd, 2 * PAGE + 2 * DATA_BYTES)
        self._file = mmap.mmap(self.fd, 2 * PAGE + 2 * DATA_BYTES)
        self.produced = 0

    @property
    def consumed(self) -> int:
        position: int = struct.unpack_from("=Q", self._file, 0)[0]
        return position

    def put(self, record: bytes, bits: int = 0) -> int:
        """Append a record, and return where its header lies."""
        place = self.produced
        self._write(place, struct.pack("=II", len(record) | bits, place // PAGE) + record)
        self.produced += (len(record) + 8 + 7) & ~7
        assert self.produced - self.consumed <= DATA_BYTES
        struct.pack_into("=Q", self._file, PAGE, self.produced)
        return place

    def mark(self, place: int, length_and_bits: int) -> None:
        """Change a header."""
        self._write(place, struct.pack("=I", length_and_bits))

    def room(self) -> int:
        return DATA_BYTES - (self.produced - self.consumed)

    def _write(self, place: int, data: bytes) -> None:
        whole = place % DATA_BYTES
        before_end = data[: DATA_BYTES - whole]
        for start, part in ((whole, before_end), (0, data[len(before_end) :])):
            for copy in (0, DATA_BYTES):
                at = 2 * PAGE + copy + start
                self._file[at : at + len(part)] = part

    def close(self) -> None:
        self._file.close()
        os.close(self.fd)


@pytest.fixture
def ring() -> Iterator[Ring]:
    with closing(Ring()) as ring:
        yield ring


def make_records(count: int, length: int = 256) -> list[bytes]:
    return [bytes([number % 251]) * length for number in range(count)]


def test_records_come_in_order_and_make_room(ring: Ring) -> None:
    """What was written is read once, also over many turns of the ring, with records across its end."""
    reader = RingReader(ring.fd, DATA_BYTES)
    for record in make_records(500):
        ring.put(record)
        ring.put(record[:-9])
        assert reader.fill_bytes() == 264 + 256
        assert reader.read(10) == [record, record[:-9]]
        assert ring.consumed == ring.produced
        assert reader.fill_bytes() == 0
    reader.close()


def test_full_ring_across_its_end(ring: Ring) -> None:
    """A ring that is full from the middle to the middle is read whole."""
    reader = RingReader(ring.fd, DATA_BYTES)
    for record in make_records(37):
        ring.put(record)
    assert len(reader.read(100)) == 37
    records = make_records(DATA_BYTES // 264)
    for record in records:
        ring.put(record)
    assert reader.read(1000) == records


def test_records_of_the_last_turn_are_not_read_again(ring: Ring) -> None:
    """Where records divide the ring evenly, what lies behind the newest one looks like its successors."""
    reader = RingReader(ring.fd, DATA_BYTES)
    for record in make_records(3 * DATA_BYTES // 256, length=248):
        ring.put(record)
        assert reader.read(100) == [record]


def test_limit_leaves_the_rest(ring: Ring) -> None:
    """A reading takes at most what was asked for."""
    reader = RingReader(ring.fd, DATA_BYTES)
    records = make_records(50)
    for record in records:
        ring.put(record)
    assert [reader.read(n) for n in (1, 20, 20, 20)] == [records[:1], records[1:21], records[21:41], records[41:]]


@pytest.mark.parametrize("number", [0, 1, 30, 49])
def test_nothing_behind_a_busy_record_is_read(ring: Ring, number: int) -> None:
    """A record that is reserved and not yet committed ends the reading, wherever it lies; then it is read too."""
    reader = RingReader(ring.fd, DATA_BYTES)
    records = make_records(50)
    places = [ring.put(record) for record in records]
    ring.mark(places[number], 256 | BUSY)
    assert reader.read(100) == records[:number]
    assert reader.read(100) == []
    ring.mark(places[number], 256)
    assert reader.read(100) == records[number:]


WATCHER = """
import mmap, sys
positions = memoryview(mmap.mmap(int(sys.argv[1]), mmap.PAGESIZE)).cast("Q")
print("watching", flush=True)
last = backwards = 0
while last < int(sys.argv[2]):
    now = positions[0]
    backwards += now < last
    last = now
print(backwards)
"""


def test_position_never_goes_back(ring: Ring) -> None:
    """A producer on another CPU that looks at any moment sees room that is there, and takes no ring for full."""
    reader = RingReader(ring.fd, DATA_BYTES)
    records = make_records(20_000)
    command = [sys.executable, "-c", WATCHER, str(ring.fd), str(len(records) * 264)]
    with subprocess.Popen(command, pass_fds=[ring.fd], stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "watching\n"
        for record in records:
            ring.put(record)
            assert reader.read(1) == [record]
        assert watcher.stdout.read() == "0\n"


@settings(deadline=None)  # it writes files
@given(st.data())
def test_any_lengths(data: st.DataObject) -> None:
    """Records of any lengths, some discarded, some busy for a while, come out as they were put in."""
    with closing(Ring()) as ring, closing(RingReader(ring.fd, DATA_BYTES)) as reader:
        play(data, ring, reader)


def play(data: st.DataObject, ring: Ring, reader: RingReader) -> None:
    lengths = st.sampled_from([0, 1, 8, 184, 256, 328, 480])
    for _ in range(data.draw(st.integers(1, 4))):
        expected = []
        for length in data.draw(st.lists(lengths | st.just(256), max_size=40)):
            record = os.urandom(length)
            if ring.room() < length + 16:
                break
            discarded = data.draw(st.integers(0, 9)) == 0
            ring.put(record, DISCARD if discarded else 0)
            expected += [] if discarded else [record]
        busy = ring.put(b"x" * 16, BUSY) if ring.room() >= 24 else None
        found: list[bytes] = []
        while some := reader.read(data.draw(st.integers(1, 30))):
            found += some
        assert found == expected
        if busy is not None:
            ring.mark(busy, 16)
            assert reader.read(1) == [b"x" * 16]
