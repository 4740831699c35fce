"""The plugin's bench runs, and its report has every figure. No verdict depends on speed: the bounds are far away."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest

from testbed.join_load import EXCHANGES, SPANS, TRANSITS, keep_pending, make_exchanges, play
from tests.bench.figures import SPREAD_KEYS, find_figure, list_figures, middle
from tests.bench.plugin import JOIN_SECTIONS, JOIN_TARGETS, main
from tests.bench.plugin_join import PENDING
from tests.bench.targets import Target
from tests.collector_plugin.join_story import Story

FAR = 50
"""A figure this many times worse than its target is a broken bench, or a disaster."""

STEEP = 8
"""Were the cost to grow with the number that waits, it would be 240 times as high at the end as at the beginning."""

REPORTED = (
    "join.us_per_transit_span_first",
    "names.us_per_transit_off",
    "names.us_per_pod",
    "clock.error_us_p50",
    *(f"pending.us_per_span.at_{n}" for n in PENDING),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    out = tmp_path_factory.mktemp("bench") / "deep" / "plugin.json"
    assert main(["--quick", "--check", "--only", "join,names,clock,width,flows", "--out", str(out)]) == 0
    loaded: dict[str, Any] = json.loads(out.read_text())
    return loaded


@pytest.mark.timeout(120)
class TestReport:
    """One quick run."""

    @pytest.mark.parametrize("key", [*(target.key for target in JOIN_TARGETS), *REPORTED])
    def test_has_every_figure(self, report: Mapping[str, Any], key: str) -> None:
        """Each is there, above 0, and a median lies between its lowest and its highest."""
        value = middle(find_figure(report, key))
        assert value is not None
        assert 0 < value < math.inf

    def test_says_what_it_was_measured_on(self, report: Mapping[str, Any]) -> None:
        """Machine, kernel, versions and time stand in the report."""
        assert {"machine", "kernel", "versions", "time", "notes", "rounds"} <= report.keys()

    def test_figures_are_in_order(self, report: Mapping[str, Any]) -> None:
        """A median lies between the lowest and the highest."""
        for key, figure in list_figures({name: report[name] for name in JOIN_SECTIONS}):
            if isinstance(figure, Mapping):
                assert figure.keys() == SPREAD_KEYS
                assert figure["low"] <= figure["median"] <= figure["high"], key

    @pytest.mark.parametrize("target", JOIN_TARGETS, ids=lambda target: target.key)
    def test_figures_are_not_absurd(self, report: Mapping[str, Any], target: Target) -> None:
        """A figure is within a factor of 50 of its target."""
        value = middle(find_figure(report, target.key))
        assert value is not None
        assert Target(target.key, target.limit * FAR).is_met_by(value)

    def test_cost_does_not_grow_with_what_waits(self, report: Mapping[str, Any]) -> None:
        """A span costs about as much beside 240,000 that wait as beside 1,000."""
        assert report["pending"]["us_per_span"]["ratio"]["median"] < STEEP


def test_traffic_is_what_the_notes_say() -> None:
    """Each exchange is four transits that become fourteen spans, once its nodes' clocks are related."""
    join = Story().join
    assert play(join, make_exchanges(0, 12)) == EXCHANGES * SPANS * 12
    assert join.joined == join.received == EXCHANGES * TRANSITS * 12
    assert play(join, make_exchanges(12 * EXCHANGES, 1), span_first=True) == EXCHANGES * SPANS
    keep_pending(join, 0, 200)
    assert join.waiting.count == 200
