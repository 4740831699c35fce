"""Has the C library's allocator give memory back to the system: that of large requests, and what is free on demand.

An edge, and of glibc alone. There the size from which a block is mapped by itself grows with each such block that is
freed, up to 32 MiB; after that large bodies lie among small ones, in an arena for each thread, and a budget of 64 MiB
takes three times as much.
"""

import ctypes

LARGE_BYTES = 1 << 20
"""Above nearly all requests, which so cost no call of the system."""

KEPT_BYTES = 3 << 20
"""What an arena keeps of what is free at its end. Requests of a tick come and go together: with less, half of the
pages that they lie in are given back and taken anew each time, a fault each, a tenth of what a request costs. With
more, messages that are being read have less room."""

STEP_BYTES = 1 << 20
"""By which an arena grows at least, for the same reason."""

ARENAS = 2
"""By default eight a core, each of which keeps what was freed in it; the interpreter runs one thread at a time."""

# malloc.h. Setting one of the thresholds also ends the growth of the other.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def keep_large_blocks_apart() -> bool:
    """Fix the thresholds for this process; False where the C library has none, as musl, which maps large blocks."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    options = (
        (_M_MMAP_THRESHOLD, LARGE_BYTES),
        (_M_TRIM_THRESHOLD, KEPT_BYTES),
        (_M_TOP_PAD, STEP_BYTES),
        (_M_ARENA_MAX, ARENAS),
    )
    return all(mallopt(option, value) == 1 for option, value in options)


def give_back_free_memory() -> None:
    """Return what is free within the allocator's arenas to the system; nothing happens where the C library cannot.

    Of glibc, where memory in small blocks else stays with the process, however much of it is free.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
