"""Distributions of the durations of all hops that were joined, by hop, direction, nodes and service.

Pure. The number of combinations is bounded: what comes when all are taken is counted under OTHER, so that no sum
lacks anything. A combination that had nothing for long gives its place to a new one.
"""

from bisect import bisect_left

from collector_plugin.hop_templates import HopTemplate
from collector_plugin.parent import Parent
from collector_plugin.ready_hops import Hop
from hopspan.hop_bounds import BOUNDS_NS

MAX_SERIES = 1_000
"""Combinations told apart, some 4 KiB each and 23 lines of the metrics page: a hundred nodes with a service each."""

IDLE_NS = 3_600 * 10**9
"""How long a combination keeps its place with nothing to count: an hour, so that a nightly job finds its own."""

RETRY_NS = 60 * 10**9
"""How often idle combinations are looked for while all places are taken."""

OTHER = "other"
"""Label of nodes and service for what found no place; hop and direction stay, of which there are few."""

MAX_LABEL = 100
"""Characters of a label: services may have names of any length."""

MAX_KNOWN = 16_384
"""Templates of hops whose combination is kept, by service: those of all courses that are kept, with a service each.
Some 2 MiB, beside templates that would be gone else."""

_BUCKETS = len(BOUNDS_NS) + 1

LABELS = ("hop", "direction", "from_node", "to_node", "service")
"""`from_node` is where the hop begins and `to_node` where it ends, the same but for the wire; `service` is
`service.name` of the span that waited."""

SeriesKey = tuple[str, str, str, str, str]
"""The values of LABELS. Tuples, here and below: there are many."""

Example = tuple[int, int, bytes]
"""One hop that was measured: its duration, its end as epoch time, and its trace id."""


class Series:
    """All durations of one combination up to now. No Struct: those take twice as long to change."""

    __slots__ = ("counts", "examples", "sum_ns", "used_ns")

    def __init__(self, counts: list[int], examples: list[Example | None], sum_ns: int = 0) -> None:
        """Begin with `counts` by bucket, one for each bound and the last for what is longer."""
        self.counts = counts
        self.examples = examples
        """The newest of each bucket."""
        self.sum_ns = sum_ns
        self.used_ns = 0


class HopDurations:
    """The distributions of all combinations."""

    def __init__(self) -> None:
        """Start with none."""
        self.forgotten = 0
        """Combinations that were idle and gave their place away; they would begin anew at 0."""
        self._series: dict[SeriesKey, Series] = {}
        self._others: dict[SeriesKey, Series] = {}
        self._looked_ns = -RETRY_NS
        self._known: dict[str, dict[HopTemplate, Series]] = {}
        self._known_count = 0

    def observe(self, hops: list[Hop], parent: Parent, now_ns: int) -> None:
        """Count the hops of one message."""
        trace_id, service = parent.trace_id, parent.service[:MAX_LABEL]
        known = self._known.get(service) or {}
        for start_ns, stop_ns, template, _ in hops:
            duration_ns = stop_ns - start_ns
            try:
                series = known[template]
            except KeyError:
                series = self._find(template, service, now_ns)
            bucket = bisect_left(BOUNDS_NS, duration_ns)
            series.counts[bucket] += 1
            series.examples[bucket] = (duration_ns, stop_ns, trace_id)
            series.sum_ns += duration_ns
            series.used_ns = now_ns

    def read(self) -> list[tuple[SeriesKey, Series]]:
        """Return what was measured up to now, as it is now."""
        return [
            (key, Series(list(series.counts), list(series.examples), series.sum_ns))
            for group in (self._series, self._others)
            for key, series in group.items()
        ]

    def _find(self, template: HopTemplate, service: str, now_ns: int) -> Series:
        key = (template.name, template.direction, template.node, template.to_node, service)
        series = self._series.get(key) or self._add(key, now_ns)
        if key in self._series:
            self._know(service, template, series)
        return series

    def _add(self, key: SeriesKey, now_ns: int) -> Series:
        if len(self._series) >= MAX_SERIES and now_ns - self._looked_ns >= RETRY_NS:
            self._looked_ns = now_ns
            idle = [known for known, series in self._series.items() if now_ns - series.used_ns >= IDLE_NS]
            self.forgotten += len(idle)
            for known in idle:
                del self._series[known]
            if idle:
                self._forget_known()
        if len(self._series) < MAX_SERIES:
            series = self._series[key] = _make_series()
            return series
        rest = (*key[:2], OTHER, OTHER, OTHER)
        return self._others.setdefault(rest, _make_series())

    def _know(self, service: str, template: HopTemplate, series: Series) -> None:
        if self._known_count >= MAX_KNOWN:
            self._forget_known()
        self._known.setdefault(service, {})[template] = series
        self._known_count += 1

    def _forget_known(self) -> None:
        for known in self._known.values():
            known.clear()
        self._known.clear()
        self._known_count = 0


def _make_series() -> Series:
    return Series([0] * _BUCKETS, [None] * _BUCKETS)
