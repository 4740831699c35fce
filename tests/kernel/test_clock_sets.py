"""The count of the wall clock's sets: a kernel's way to say that a step was there, though it was taken back."""

import ctypes
import os

import pytest

from node_probe.clock import EpochReader, monotonic_ns
from node_probe.clock_sets import ClockSets, read_ticks
from node_probe.errors import ProbeError
from tests.requirements import lack

_ADJ_SETOFFSET, _ADJ_NANO = 0x0100, 0x2000
_NS_PER_S = 10**9


class Timex(ctypes.Structure):
    """As struct timex, as far as a step needs it (adjtimex(2))."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("before", ctypes.c_long * 8),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
        ("behind", ctypes.c_char * 256),
    )


def step_clock(offset_ns: int) -> None:
    """Step the wall clock by so much."""
    step = Timex(modes=_ADJ_SETOFFSET | _ADJ_NANO)
    step.seconds, step.nanoseconds = divmod(offset_ns, _NS_PER_S)
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(step)) < 0:
        lack(f"the clock cannot be set here: {os.strerror(ctypes.get_errno())}")


def test_each_step_counts() -> None:
    """A nanosecond ahead, and back: no two readings tell that, and nobody notices."""
    sets = ClockSets()
    assert sets.count() == 0
    step_clock(1)
    assert sets.count() >= 1
    before = sets.count()
    step_clock(-1)
    assert sets.count() > before


def test_reading_has_the_offset_and_the_count() -> None:
    """Both of one moment, and how far the offset may be off."""
    reader = EpochReader()
    first = reader.read()
    assert first.start_ns < first.end_ns <= monotonic_ns()
    step_clock(1)
    second = reader.read()
    step_clock(-1)
    assert second.sets_before > first.sets_after
    assert abs(second.offset_ns - first.offset_ns) <= second.error_ns + first.error_ns + 1


@pytest.mark.parametrize("info", [b"", b"pos:\t0\nflags:\t02000002\n", b"pos:\t0\nticks: \n", b"\nticks: many\n"])
def test_kernel_that_does_not_count_is_told_of(info: bytes) -> None:
    """At the start, by the file's name."""
    with pytest.raises(ProbeError, match="/proc/self/fdinfo"):
        read_ticks(info)


def test_ticks_are_read_among_other_lines() -> None:
    """As Linux writes them."""
    assert read_ticks(b"pos:\t0\nclockid: 0\nticks: 12\nsettime flags: 03\n") == 12
