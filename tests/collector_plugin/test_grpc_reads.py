"""The messages that are being read: whoever takes them takes the oldest, and each is taken once."""

from collector_plugin.grpc_reads import Reads


def begin(*times_ns: int) -> Reads[int]:
    """Return reads that began then; each request is its time."""
    reads: Reads[int] = Reads()
    for time_ns in times_ns:
        reads.begin(time_ns, time_ns)
    return reads


def test_old_reads_are_taken_up_to_the_first_young_one() -> None:
    """The bound itself is old enough."""
    reads = begin(1, 3, 5, 7)
    assert reads.take_begun_by(5) == [1, 3, 5]
    assert reads.take_begun_by(6) == []
    assert reads.count == 1


def test_longest_reads_are_taken_first() -> None:
    """As many as there are, and none for a number below one."""
    reads = begin(1, 3, 5)
    assert reads.take_longest(-2) == reads.take_longest(0) == []
    assert reads.take_longest(2) == [1, 3]
    assert reads.take_longest(2) == [5]
    assert reads.count == 0


def test_finished_read_is_not_taken() -> None:
    """And one that was taken is told so when it finishes."""
    reads: Reads[str] = Reads()
    first, second = reads.begin("first", 0), reads.begin("second", 0)
    assert reads.finish(first)
    assert reads.take_longest(2) == ["second"]
    assert not reads.finish(second)
