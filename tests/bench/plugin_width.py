"""What taking in a span costs by the width of its attributes: beyond copying it must not grow with them.

One process and one thread, no IO. Copying is what nobody is spared: once from the transport, once into the request
that goes out.
"""

import gc
import time
from collections.abc import Callable
from typing import Any

from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.otlp_walk import walk_request
from tests.bench.figures import spread
from tests.bench.pipeline_requests import SPANS, make_otlp_template
from tests.collector_plugin.builders import SECOND

WIDTHS = (14, 140, 1400)
"""Bytes of each of ten attributes: what the pipeline's load has, and ten and a hundred times as much."""


def describe() -> dict[str, str]:
    """Return what the figures are."""
    return {
        "width.us_per_span": "CPU time to walk a request of 100 spans and to remember them as parents, by the bytes "
        "of each of their ten attributes",
        "width.copy_us_per_span": "CPU time to copy such a request once",
        "width.beyond_copying": "the time of the widest, divided by that of the narrowest and of two copies",
    }


def measure_width(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the section `width`."""
    requests = 10 if quick else 100
    measured = [[_run(width, requests) for width in WIDTHS] for _ in range(rounds)]
    allowed = [by_width[0][0] + 2 * by_width[-1][1] for by_width in measured]
    return {
        "width": {
            "us_per_span": _spread_by_width([[taken for taken, _ in by_width] for by_width in measured]),
            "copy_us_per_span": _spread_by_width([[copied for _, copied in by_width] for by_width in measured]),
            "beyond_copying": spread(
                [by_width[-1][0] / most for by_width, most in zip(measured, allowed, strict=True)]
            ),
        }
    }


def _spread_by_width(rounds: list[list[float]]) -> dict[str, Any]:
    return {f"at_{width}": spread([by_width[place] for by_width in rounds]) for place, width in enumerate(WIDTHS)}


def _run(width: int, requests: int) -> tuple[float, float]:
    """Return microseconds of CPU time for each span: to take it in, and to copy it."""
    join = Join(JoinSettings(60 * SECOND, 2 * SECOND))
    mould = make_otlp_template("v" * width).at(0)
    made = [mould(number) for number in range(requests)]

    def take_in() -> None:
        for data in made:
            for group in walk_request(data).application:
                join.add_parents(group.resource, group.spans, 0, group.peers)

    def copy() -> None:
        for data in made:
            bytes(memoryview(data))

    return _spend_us(take_in) / (requests * SPANS), _spend_us(copy) / (requests * SPANS)


def _spend_us(work: Callable[[], None]) -> float:
    gc.collect()
    before_ns = time.process_time_ns()
    work()
    return (time.process_time_ns() - before_ns) / 1_000
