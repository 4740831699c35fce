"""Takes out of the kernel's map the transits whose packet never met the node's last point.

Reads no clock: `now_ns` is CLOCK_MONOTONIC, as the stamps are.
"""

from node_probe.bpf import BpfMap
from node_probe.kernel_record import first_stamp_ns

MIN_AGE_NS = 1_000_000_000
"""One second: a packet is on a node for microseconds, and behind the slowest queue for less than this."""


def sweep_transits(transits: BpfMap, now_ns: int) -> list[bytes]:
    """Remove and return the records whose first stamp is at least MIN_AGE_NS old."""
    due = [key for key, value in transits.items() if now_ns - first_stamp_ns(value) >= MIN_AGE_NS]
    # Between look and removal the packet may reach its last point after all: then the kernel has sent it.
    return [value for key in due if (value := transits.take(key)) is not None]
