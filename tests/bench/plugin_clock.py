"""How far off the plugin's relation of two clocks is, where a simulation knows the truth. Pure; reads no clock."""

import random
from typing import Any

from collector_plugin.clocks import Clocks
from tests.bench.figures import percentile, spread
from tests.collector_plugin.builders import SECOND, US
from tests.collector_plugin.clock_story import draw_times, exchange, jittery, make_nodes

OFFSET_NS = 3 * 3600 * SECOND
WARM_NS, END_NS = 30 * SECOND, 60 * SECOND

RATES_PPB: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, 0),),
    ((0, 12_000),),
    ((0, -100_000),),
    ((0, 100_000),),
    tuple((second * SECOND, second * 333) for second in range(60)),
)
"""No drift, usual drift, the most there is, and one that changes by 20 ppm in a minute."""


def describe() -> dict[str, str]:
    """Return what the figure is."""
    return {
        "clock.error_us_p99": "simulated; ten exchanges a second over a wire of 60 us with jitter (mean 20 us, one "
        "packet in fifty 500 us), the 31st to the 60th second, five drifts; messages without a relation count as "
        "infinite"
    }


def measure_clock(rounds: int) -> dict[str, Any]:
    """Return the section `clock`; each round has stories of its own."""
    errors = [[error for rates in RATES_PPB for error in _list_errors_us(rates, seed)] for seed in range(rounds)]
    return {
        "clock": {
            "error_us_p50": spread([percentile(round_errors, 0.5) for round_errors in errors]),
            "error_us_p99": spread([percentile(round_errors, 0.99) for round_errors in errors]),
        }
    }


def _list_errors_us(rates_ppb: tuple[tuple[int, int], ...], seed: int) -> list[float]:
    rng = random.Random(seed)  # noqa: S311 - the same story every time
    wire = jittery(60 * US, 20 * US, 500 * US)
    nodes = make_nodes(OFFSET_NS, rates_ppb)
    clocks = Clocks()
    errors: list[float] = []
    for at_ns in draw_times(rng, 10.0, END_NS):
        for passage in exchange(*nodes, at_ns, (wire, wire), rng):
            clocks.observe(passage.see(), 0)
            relation = clocks.relate(passage.see())
            if at_ns < WARM_NS:
                continue
            if relation is None:
                errors.append(float("inf"))
            else:
                errors.append(max(abs(relation.theta_ns - theta_ns) for theta_ns in passage.thetas_ns) / US)
    return errors
