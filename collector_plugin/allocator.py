"""Tells the C library's allocator to give the memory of large requests back once they are answered.

An edge, and of glibc alone. There the size from which a block is mapped by itself grows with each such block that is
freed, up to 32 MiB; after that large bodies lie among small ones, in an arena for each thread, and a budget of 64 MiB
takes three times as much.
"""

import ctypes

LARGE_BYTES = 1 << 20
"""Above nearly all requests, which so cost no call of the system."""

# malloc.h. Setting one of them also ends the growth of the other.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_large_blocks_apart() -> bool:
    """Fix the threshold for this process; False where the C library has none, as musl, which maps large blocks."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(mallopt(option, LARGE_BYTES) == 1 for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
