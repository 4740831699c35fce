"""What the probe counts: the kernel's per-CPU counters and the agent's own reasons, by the names users see.

Pure. The order of KernelCounter is the kernel's (`enum counter` in bpf/record.h); a test compares them.
"""

import struct
from enum import Enum, IntEnum


class KernelCounter(IntEnum):
    """Counters of the BPF programs, by their index in the map."""

    TRANSITS_STARTED = 0
    TRANSITS_EMITTED = 1
    TRANSITS_SWEPT = 2
    REQUEST_NO_CONTEXT = 3
    REQUEST_UNFINISHED = 4
    REQUEST_TOO_LONG = 5
    REQUEST_BAD_CONTEXT = 6
    REQUEST_UNSAMPLED = 7
    REQUEST_PIPELINED = 8
    RESPONSE_NO_EXCHANGE = 9
    RESPONSE_INTERIM = 10
    REPEATED = 11
    RATE_LIMITED = 12
    TRANSIT_MAP_FULL = 13
    EXCHANGE_MAP_FULL = 14
    RING_FULL = 15
    TLS_SEEN = 16
    HTTP2_REQUESTS = 17
    HTTP2_INDEXED = 18
    HTTP2_AMBIGUOUS = 19
    HTTP2_CONTINUED = 20
    HTTP2_MALFORMED = 21
    HTTP2_TOO_MANY = 22
    HTTP2_UNCERTAIN = 23
    HTTP2_RESET = 24
    TLS_FLOW = 25
    FLOW_FOLLOWED = 26
    FLOW_UNKNOWN = 27
    FLOW_MAP_FULL = 28
    CONTEXT_TRACEPARENT = 29
    CONTEXT_B3 = 30
    CONTEXT_B3MULTI = 31
    CONTEXT_UBER_TRACE_ID = 32

    @property
    def label(self) -> str:
        """Return the name as a metric label: `request_unsampled`."""
        return self.name.lower()


BURST_LOSSES = (
    KernelCounter.RATE_LIMITED,
    KernelCounter.TRANSIT_MAP_FULL,
    KernelCounter.RING_FULL,
    KernelCounter.FLOW_UNKNOWN,
    KernelCounter.FLOW_MAP_FULL,
)
"""Those that move where the agent hears nothing of a burst that there was."""


class Reason(Enum):
    """Why the agent let go of a transit without delivering it; the value is the metric label."""

    BAD_RECORD = "bad_record"
    BAD_CONTEXT = "bad_context"
    UNSAMPLED = "unsampled"
    CPU_CEILING = "cpu_ceiling"
    BACKLOG_FULL = "backlog_full"
    ENCODE_FAILED = "encode_failed"
    EXPORT_REFUSED = "export_refused"
    EXPORT_REJECTED = "export_rejected"
    SHUTDOWN = "shutdown"


class Event(Enum):
    """What else the agent counts; the value is the metric label."""

    RECORDS_READ = "records_read"
    BURSTS_KEPT = "bursts_kept"
    TRANSITS_SENT = "transits_sent"
    EXPORTS_RETRIED = "exports_retried"


class ClaimOutcome(Enum):
    """What became of a claim on a flow; the value is the metric label."""

    ANSWERED = "answered"
    REQUEST_ALONE = "request_alone"
    EXACT = "exact"
    AMBIGUOUS = "ambiguous"
    INCOMPLETE = "incomplete"
    NOT_FOUND = "not_found"
    UNKNOWN_FLOW = "unknown_flow"
    NO_CLOCK = "no_clock"
    NOT_UNDERSTOOD = "not_understood"
    QUEUE_FULL = "queue_full"


class KeptEnd(Enum):
    """Why a burst is kept no more that no span has claimed, or that was answered long ago; the metric label."""

    EXPIRED = "flow_expired"
    DISPLACED = "flow_displaced"


def sum_over_cpus(value: bytes) -> int:
    """Return the sum of a per-CPU 64-bit counter, as a map look-up returns it."""
    return sum(struct.unpack(f"={len(value) // 8}Q", value))
