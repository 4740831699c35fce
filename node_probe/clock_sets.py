"""Counts how often the wall clock was set, so that a step that was taken back between two looks does not go unseen.

By a timer that ends at every set (TFD_TIMER_CANCEL_ON_SET, timerfd_create(2)). As nobody reads the timer, the kernel
counts all of them as its ticks, which /proc/self/fdinfo shows. os.timerfd_create came with Python 3.13 only.
"""

import ctypes
import os
import time

from node_probe.errors import ProbeError

_TFD_CLOEXEC = 0o2000000
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_NEVER_S = 2**32
"""When the timer would end: in 2106."""
_TICKS = b"\nticks:"
_INFO_BYTES = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    """As struct itimerspec."""

    _fields_ = (("interval", _Time), ("value", _Time))


class ClockSets:
    """The number of times that CLOCK_REALTIME was set since this was made. Slewing is none."""

    def __init__(self) -> None:
        """Arm the timer. Raises ProbeError where this kernel does not count."""
        try:
            # Both stay open as long as the process.
            self._timer = _call("timerfd_create", time.CLOCK_REALTIME, _TFD_CLOEXEC)
            until = _Timer(_Time(0, 0), _Time(_NEVER_S, 0))
            flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
            _call("timerfd_settime", self._timer, flags, ctypes.byref(until), None)
            self._info = os.open(f"/proc/self/fdinfo/{self._timer}", os.O_RDONLY | os.O_CLOEXEC)
            self.count()
        except OSError as error:
            raise ProbeError(f"sets of the wall clock cannot be counted: {error}") from error

    def count(self) -> int:
        """Return how many there were. Raises ProbeError."""
        return read_ticks(os.pread(self._info, _INFO_BYTES, 0))


def read_ticks(info: bytes) -> int:
    """Return the ticks that a timer's fdinfo tells (proc_pid_fdinfo(5)). Raises ProbeError where it tells none."""
    ticks = info.partition(_TICKS)[2].split(b"\n", 1)[0].strip()
    if not ticks.isdigit():
        raise ProbeError("sets of the wall clock cannot be counted: /proc/self/fdinfo has no ticks of a timer")
    return int(ticks)


def _call(name: str, *arguments: object) -> int:
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result
