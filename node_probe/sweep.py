"""Takes out of the kernel's table the transits whose packet never met the node's last point.

The kernel's own program does it, run from here: see bpf/sweep.c. They come by the ring, marked partial.
"""

import ctypes
import struct

from node_probe.bpf import ProgramRun, run_program

MIN_AGE_NS = 1_000_000_000
"""One second: a packet is on a node for microseconds, and behind the slowest queue for less than this."""

STEPS = 512
"""TRANSITS_MAX / SWEEP_STEP in bpf/limits.h; a test compares them."""

COARSE_SHIFT = 20
"""As in bpf/record.h."""

_PRIORITY = struct.Struct("=32xI156x")
"""struct __sk_buff of uapi/linux/bpf.h: the priority at byte 32; the mark, at byte 8, begins with 0."""

_PACKET = bytes(14)
"""An Ethernet header, which the kernel asks for."""


def sweep_transits(program_fd: int, min_age_ns: int = MIN_AGE_NS) -> None:
    """Hand the transits that started so long ago to the ring. Raises OSError."""
    packet = ctypes.create_string_buffer(_PACKET, len(_PACKET))
    context = ctypes.create_string_buffer(_PRIORITY.pack(min_age_ns >> COARSE_SHIFT), _PRIORITY.size)
    run = ProgramRun(
        prog_fd=program_fd,
        data_size_in=len(_PACKET),
        data_in=ctypes.addressof(packet),
        repeat=STEPS,
        ctx_size_in=_PRIORITY.size,
        ctx_in=ctypes.addressof(context),
    )
    while True:
        try:
            run_program(run)
        except InterruptedError:
            continue  # a signal came between two repetitions; what was swept is not there any more
        return
