"""What the user set of the join, and of the spans that come of it.

Pure.
"""

import msgspec

from collector_plugin.network_span import Detail


class JoinSettings(msgspec.Struct, frozen=True):
    """Times in nanoseconds."""

    window_ns: int
    """How long a transit waits for its parent."""
    settle_ns: int
    """How long what belongs together waits for each other."""
    min_duration_ns: int = 0
    """Spans shorter than this are not made."""
    max_per_trace: int = 1_000
    """Network spans in one trace."""
    detail: Detail = Detail.HOPS
    slow_threshold_ns: int = 10**6
    """What the network part of an exchange must exceed with `slow`."""
