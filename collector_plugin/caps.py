"""Caps on network spans: by trace and by parent, so that no context, forged or reused, can fill a trace.

Pure. Counts are kept in two generations and bounded: under pressure an idle trace is forgotten early, which makes its
cap more lenient and never stricter.
"""

from collector_plugin.reasons import HopReason

MAX_PER_PARENT = 112
"""Eight exchanges of fourteen hops: a client that follows redirects, or proxies that pass the context on."""

MAX_ENTRIES = 50_000
"""Per generation and kind; some 20 MiB in all."""

_TRACE_CAP, _PARENT_CAP = HopReason.TRACE_CAP, HopReason.PARENT_CAP


class SpanCaps:
    """Counts network spans by trace and by parent."""

    def __init__(self, max_per_trace: int, window_ns: int) -> None:
        """Remember a count for at least one window after its last use."""
        self._max_per_trace = max_per_trace
        self._traces = _Tally(window_ns)
        self._parents = _Tally(window_ns)

    def admit(self, parent_key: bytes, wanted: int, now_ns: int) -> tuple[int, HopReason]:
        """Count spans of the parent (24 bytes, the trace id first): return how many may be, and why no more.

        Of `wanted`, one or more, at most so many are counted.
        """
        traces, parents = self._traces, self._parents
        trace_id = parent_key[:16]
        in_trace, in_parent = traces.read(trace_id, now_ns), parents.read(parent_key, now_ns)
        of_trace, of_parent = self._max_per_trace - in_trace, MAX_PER_PARENT - in_parent
        admitted = min(wanted, of_trace, of_parent)
        if admitted:
            traces.current[trace_id] = in_trace + admitted
            parents.current[parent_key] = in_parent + admitted
        return admitted, _TRACE_CAP if of_trace <= of_parent else _PARENT_CAP


class _Tally:
    """Counts by key that are forgotten when idle."""

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._born_ns = 0
        self.current: dict[bytes, int] = {}
        self._former: dict[bytes, int] = {}

    def read(self, key: bytes, now_ns: int) -> int:
        if now_ns - self._born_ns >= self._window_ns or len(self.current) >= MAX_ENTRIES:
            self._former = self.current
            self.current = {}
            self._born_ns = now_ns
        count = self.current.get(key)
        if count is None:
            count = self._former.get(key, 0)
            if count:
                self.current[key] = count
        return count
