"""Gathers a set of hops, from files or from a backend. Edge: opens files, and asks backends through an HttpGetter."""

from pathlib import Path

import msgspec

from traceview.backends import Kind, Search, find_traces
from traceview.comparison import Side
from traceview.hop_samples import HopCollector
from traceview.http_get import HttpGetter
from traceview.time_range import read_time_range
from traceview.trace_file import list_files, walk_readings


class Source(msgspec.Struct, frozen=True):
    """Where sets that are no files come from."""

    getter: HttpGetter
    kind: Kind
    service: str
    limit: int


def gather_set(name: str, source: Source | None, now_ns: int, *, by_nodes: bool) -> Side:
    """Return the hops of the set called `name`, and what was left out of it.

    Raises TraceFileError, BackendError, and ValueError where the name means neither files nor a time range.
    """
    collector = HopCollector()
    notes: tuple[str, ...] = ()
    if source is None or Path(name).exists():
        for file in list_files(name):
            for reading in walk_readings(file):
                collector.add(reading.spans)
                notes = (*notes, *reading.describe())
    else:
        times = read_time_range(name, now_ns)
        search = Search(source.service, times.start_ns, times.end_ns, source.limit)
        reading = find_traces(source.getter, source.kind, search)
        collector.add(reading.spans)
        traces = len({span.trace_id for span in reading.spans})
        is_full = traces >= source.limit
        more = (f"the limit of {source.limit} traces is reached: there may be more",) if is_full else ()
        notes = (f"{traces} traces found", *reading.describe(), *more)
    held = collector.finish(by_nodes=by_nodes)
    return Side(name, held, (*notes, *held.describe()))
