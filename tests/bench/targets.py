"""What the figures must reach, and the table that shows both.

Pure: no IO. A target is compared with the median, and nothing but `--strict` makes a miss a failure, for a shared
machine is no judge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.figures import Figure, Report, find_figure, list_figures, middle


@dataclass(frozen=True)
class Target:
    """A figure that must not exceed `limit`, or with `at_least` must not fall short of it."""

    key: str
    limit: float
    at_least: bool = False

    def is_met_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def describe(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


TARGETS = (
    Target("ns.non_http", 35),
    Target("ns.stamp", 90),
    Target("ns.miss", 80),
    Target("ns.unsampled_first", 300),
    Target("ns.first", 600),
    Target("ns.last", 400),
    Target("ns.h2_first", 900),
    Target("ns.h2_unsampled", 450),
    Target("ns.h2_other", 150),
    Target("ns.tls_first", 600),
    Target("ns.tls_other", 150),
    Target("ns.tls_off", 50),
    Target("rps.loss_percent_1", 10),
    Target("rps.kernel_vs_tcpdump", 1.0),
    Target("agent.us_cpu_per_transit", 8),
    Target("agent.rss_steady_mib", 60),
    Target("agent.transits_per_s", 100_000, at_least=True),
    Target("truth.us_p50", 2),
    Target("truth.us_p99", 6),
)

REPORTED = (
    "ns.in_traffic",
    "rps.loss_percent_100",
    "rps.loss_percent_100_kernel",
    "rps.loss_percent_100_agent",
    "agent.compile_child_peak_mib",
    "agent.replay_us_cpu_per_coded_transit",
    "agent.us_cpu_per_kept_burst",
    "discovery.attach_s",
    "discovery.attach_cpu_s",
    "discovery.release_s",
    "discovery.release_cpu_s",
    "discovery.plan_ms",
    "verified_instructions",
)
"""Keys without a target that every report has."""


SECTIONS = ("ns", "rps", "agent", "discovery", "truth", "verified_instructions")
"""The parts of a report that hold figures; the others tell what it was measured on."""


def judge(report: Report, targets: Sequence[Target] = TARGETS) -> dict[str, bool]:
    """Return for each target whether it is met; those without a figure are left out."""
    verdicts = {}
    for target in targets:
        try:
            value = middle(find_figure(report, target.key))
        except KeyError:
            continue
        if value is not None:
            verdicts[target.key] = target.is_met_by(value)
    return verdicts


def render_table(
    report: Report, *, check: bool, targets: Sequence[Target] = TARGETS, sections: Sequence[str] = SECTIONS
) -> Iterator[str]:
    """Yield the lines of a plain table of all figures; `check` adds PASS or FAIL where there is a target."""
    by_key = {target.key: target for target in targets}
    verdicts = judge(report, targets)
    yield f"{'figure':<48}{'median':>12}{'low':>12}{'high':>12}  target"
    for key, figure in list_figures({name: report[name] for name in sections if name in report}):
        target = by_key.get(key)
        line = f"{key:<48}{_render_figure(figure)}"
        if target:
            line += f"  {target.describe()}"
        if check and key in verdicts:
            line += "  PASS" if verdicts[key] else "  FAIL"
        yield line


def _render_figure(figure: Figure) -> str:
    if figure is None:
        return f"{'-':>12}{'':>24}"
    if isinstance(figure, (int, float)):
        return f"{figure:>12.6g}{'':>24}"
    return "".join(f"{figure[name]:>12.6g}" for name in ("median", "low", "high"))
