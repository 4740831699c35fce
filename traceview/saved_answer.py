"""Tell by its head whether a file is a backend's answer that somebody saved, and read it as such. Pure.

Such a file is one JSON document, on one line or many; what the plugin and the Collector write has a document a line.
"""

import re
from collections.abc import Callable

from traceview.jaeger_json import read_jaeger_v1, read_jaeger_v3
from traceview.reading import Reading
from traceview.zipkin_json import read_zipkin_trace, read_zipkin_traces

HEAD_BYTES = 4096
"""Of a file that are looked at: any document says what it is long before."""

_HEADS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Reading]], ...] = (
    (re.compile(rb'\s*\{\s*"data"\s*:'), read_jaeger_v1),
    (re.compile(rb'\s*\{\s*"result"\s*:'), read_jaeger_v3),
    # OTLP JSON over several lines, as tools print it for people.
    (re.compile(rb'\s*\{\s*\n\s*"resourceSpans"\s*:'), read_jaeger_v3),
    (re.compile(rb"\s*\[\s*\["), read_zipkin_traces),
    (re.compile(rb"\s*\["), read_zipkin_trace),
)


def find_reader(head: bytes) -> Callable[[bytes], Reading] | None:
    """Return what reads the whole file, which begins with `head`; None where it is no answer of a backend."""
    return next((read for pattern, read in _HEADS if pattern.match(head)), None)
