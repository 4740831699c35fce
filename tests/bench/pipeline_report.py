"""Makes the pipeline's part of a report: figures by case, ratios between cases of one round, memory and latency.

Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.figures import spread
from tests.bench.pipeline_cases import CASES, RATIOS, PluginCase
from tests.bench.pipeline_overload import Overload
from tests.bench.pipeline_runs import Outcome
from tests.bench.targets import Target

Rounds = Sequence[dict[str, Outcome]]

PIPELINE_SECTIONS = (
    "otlp_grpc",
    "otlp_http",
    "zipkin",
    "tap",
    "rss_peak_mib",
    "rss_ratio_to_collector",
    "lost_spans",
    "latency",
    "overload",
    "collector",
)
"""The parts of a report that come from here."""

PIPELINE_TARGETS = (
    Target("otlp_grpc.accepted.ratio_to_collector", 1.5, at_least=True),
    Target("otlp_grpc.delivered.ratio_to_collector", 1.2, at_least=True),
    Target("otlp_grpc.ratio_to_groupbytrace", 3, at_least=True),
    Target("otlp_http.ratio_to_collector", 1.5, at_least=True),
    Target("zipkin.ratio_to_collector", 2, at_least=True),
    Target("tap.ratio_to_collector", 2, at_least=True),
    Target("rss_peak_mib", 150),
    Target("rss_ratio_to_collector", 1),
    Target("lost_spans", 0),
    Target("latency.added_ms_p99", 20),
    Target("overload.goodput_ratio", 0.8, at_least=True),
    Target("overload.recovery_s", 5),
    Target("overload.rss_peak_mib", 256),
)


def describe() -> dict[str, str]:
    """Return what the figures are."""
    return {
        "ratio_to_collector": "spans per CPU-second of the plugin's process, divided by those of the Collector's in "
        "the same round; server on one core, load and null sink on the other; 100 spans a request, 10 attributes of "
        "14 bytes a span, 16 callers, uncompressed; one span in a hundred has an exchange of four transits in the "
        "plugin, which become 14 network spans; the Collector gets no transits",
        "collector.zipkin": "the Collector's receiver closes each connection after one request",
        "otlp_http, zipkin": "acknowledge: accepted, as the Collector does; `delivered` stands beside it",
        "lost": "application spans sent that did not reach the sink once, of all rounds; lost_spans: of all cases",
        "hops_missing": "network spans that the transits should have become and that did not reach the sink",
        "rss_peak_mib": "the highest of the plugin's cases in a round, from its start on (VmHWM)",
        "rss_ratio_to_collector": "the worst of the plugin's cases beside the Collector on the same way",
        "latency.added_ms_p99": "at half the rate that the plugin reached: the time of a call through the plugin, "
        "acknowledge: delivered, beyond that of a call straight to the sink, both from when the request was due",
        "overload": "ten times the peak is offered, by senders that wait five seconds for an answer, and go away at "
        "the end, to a plugin with a fifth of a core; acknowledge: delivered",
        "overload.peak_spans_per_s": "what 16 callers that wait for their answers bring through it",
        "overload.goodput_ratio": "what reaches the sink during the overload, divided by the peak",
        "overload.recovery_s": "from the end of the overload to the first second in which all requests, at half the "
        "peak's rate, are answered with success within a second",
    }


def make_report(rounds: Rounds, failed: dict[str, str], overloads: Sequence[Overload] = ()) -> dict[str, Any]:
    """Return the sections; cases that no round has are left out, and told under `failed`."""
    report: dict[str, Any] = {}
    keys = [key for key in CASES if any(key in outcomes for outcomes in rounds)]
    for key in keys:
        _put(report, key, _summarise([outcomes[key] for outcomes in rounds if key in outcomes]))
    for key, (ours, theirs) in RATIOS.items():
        values = list(_list_ratios(rounds, ours, theirs))
        if values:
            _put(report, key, spread(values))
    peaks = [[o.rss_peak_mib for key, o in outcomes.items() if _is_plugin(key)] for outcomes in rounds]
    if any(peaks):
        report["rss_peak_mib"] = spread([max(values) for values in peaks if values])
    peak_ratios = [list(_list_peak_ratios(outcomes)) for outcomes in rounds]
    if any(peak_ratios):
        report["rss_ratio_to_collector"] = spread([max(values) for values in peak_ratios if values])
    report["lost_spans"] = sum(abs(outcome.lost) for outcomes in rounds for outcome in outcomes.values())
    latencies = list(_list_latencies(rounds))
    if latencies:
        report["latency"] = _merge(latencies)
    if overloads:
        report["overload"] = _merge([asdict(overload) for overload in overloads])
    if failed:
        report["failed"] = failed
    return report


def _is_plugin(key: str) -> bool:
    return isinstance(CASES[key], PluginCase)


def _list_ratios(rounds: Rounds, ours: str, theirs: str) -> Iterator[float]:
    for outcomes in rounds:
        if ours in outcomes and theirs in outcomes:
            yield outcomes[ours].spans_per_cpu_s / outcomes[theirs].spans_per_cpu_s


def _list_peak_ratios(outcomes: dict[str, Outcome]) -> Iterator[float]:
    for ours, theirs in RATIOS.values():
        if ours in outcomes and theirs in outcomes:
            yield outcomes[ours].rss_peak_mib / outcomes[theirs].rss_peak_mib


def _summarise(outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "spans_per_cpu_s": spread([outcome.spans_per_cpu_s for outcome in outcomes]),
        "spans_per_s": spread([outcome.spans_per_s for outcome in outcomes]),
        "rss_peak_mib": spread([outcome.rss_peak_mib for outcome in outcomes]),
        "spans": sum(outcome.sent.spans for outcome in outcomes),
        "lost": sum(abs(outcome.lost) for outcome in outcomes),
        "refused": sum(outcome.sent.refused_spans for outcome in outcomes),
        "network_spans": sum(outcome.received.network_spans for outcome in outcomes),
        "hops_missing": sum(outcome.hops_missing for outcome in outcomes),
    }


def _list_latencies(rounds: Rounds) -> Iterator[dict[str, float]]:
    for outcomes in rounds:
        for outcome in outcomes.values():
            if outcome.latency is not None:
                (through_p50, through_p99), (straight_p50, straight_p99) = (
                    outcome.latency.through,
                    outcome.latency.straight,
                )
                yield {
                    "added_ms_p50": through_p50 - straight_p50,
                    "added_ms_p99": through_p99 - straight_p99,
                    "straight_ms_p99": straight_p99,
                    "requests_per_s": outcome.latency.rate,
                }


def _merge(figures: list[dict[str, float]]) -> dict[str, Any]:
    return {name: spread([each[name] for each in figures]) for name in figures[0]}


def _put(report: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; a section that is there already gets the new figures beside its own."""
    *path, last = key.split(".")
    for name in path:
        report = report.setdefault(name, {})
    if isinstance(value, dict) and isinstance(report.get(last), dict):
        report[last].update(value)
    else:
        report[last] = value
