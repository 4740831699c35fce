"""One run of a case: a server is started, warmed, loaded for some seconds, and left to finish what it took.

Edge: reads the server's CPU time and memory from the kernel. A run that lost a span says so; it does not fail.
"""

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.kernel_facts import read_cpu_ns
from testbed.process import ManagedProcess
from tests.bench.figures import percentile
from tests.bench.pipeline_cases import LATENCY_CASE, Case, PluginCase, Ports, Protocol
from tests.bench.pipeline_load import Load, Sent
from tests.bench.pipeline_requests import HOPS_PER_EXCHANGE, SPANS
from tests.bench.pipeline_servers import running_server
from tests.bench.pipeline_sinks import Counts, Tally

DRAIN_S = 20.0
"""What a server gets for what it has taken; the slowest, groupbytrace, keeps spans for a second."""

NETWORK_DRAIN_S = 3.0
"""What network spans get: two halves of a message wait two seconds for each other."""

_POLL_S = 0.02
_HALF = 0.5


@dataclass(frozen=True)
class Effort:
    """How long a run takes."""

    warm_s: float
    seconds: float


@dataclass(frozen=True)
class Latency:
    """Times of calls in milliseconds: through the server and straight to the sink, at the same rate."""

    rate: float
    """Requests a second: half of what the run before reached."""
    through: tuple[float, float]
    """p50 and p99."""
    straight: tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """What one run gave."""

    sent: Sent
    received: Counts
    lost: int
    """Application spans sent and not received; negative: received twice."""
    hops_missing: int
    """Network spans that the transits should have become and that were not received."""
    cpu_ns: int
    seconds: float
    """Of the load, without what came after."""
    rss_peak_mib: float
    latency: Latency | None = None

    @property
    def spans_per_cpu_s(self) -> float:
        return self.sent.spans * 1e9 / max(1, self.cpu_ns)

    @property
    def spans_per_s(self) -> float:
        return self.sent.spans / self.seconds


class Runner:
    """Runs cases one after another, with the same sinks."""

    def __init__(self, tally: Tally, sinks: Ports, core: int, work_dir: Path) -> None:
        """`core` is the server's; `tally` counts what the sinks take."""
        self._tally = tally
        self._sinks = sinks
        self._core = core
        self._work_dir = work_dir

    def run(self, case: Case, effort: Effort) -> Outcome:
        """Return what a run of the case gave. Raises TestbedError where its program does not start, or dies."""
        with running_server(case, self._sinks, self._core, self._work_dir) as (server, ports):
            load = Load(ports, case.receiver, transits=isinstance(case, PluginCase))
            before = self._tally.read()
            self._drain(case, load.run(effort.warm_s), before)
            outcome = self._measure(case, load, server, effort)
            if case.key != LATENCY_CASE:
                return outcome
            rate = _HALF * outcome.spans_per_s / SPANS
            latency = self._measure_latency(load, rate, effort)
        return replace(outcome, latency=latency)

    def _measure(self, case: Case, load: Load, server: ManagedProcess, effort: Effort) -> Outcome:
        before, cpu_ns, started = self._tally.read(), read_cpu_ns(server.pid), time.monotonic()
        sent = load.run(effort.seconds)
        seconds = time.monotonic() - started
        lost, hops_missing = self._drain(case, sent, before)
        server.check_alive()
        return Outcome(
            sent=sent,
            received=self._tally.read().since(before),
            lost=lost,
            hops_missing=hops_missing,
            cpu_ns=read_cpu_ns(server.pid) - cpu_ns,
            seconds=seconds,
            rss_peak_mib=read_rss_peak_mib(server.pid),
        )

    def _measure_latency(self, load: Load, rate: float, effort: Effort) -> Latency:
        through = load.run(effort.seconds, rate)
        straight = Load(self._sinks, Protocol.OTLP_GRPC, transits=True).run(effort.seconds, rate)
        return Latency(rate, _list_percentiles_ms(through), _list_percentiles_ms(straight))

    def _drain(self, case: Case, sent: Sent, before: Counts) -> tuple[int, int]:
        """Wait until all that was sent has arrived; return how many spans have not, and how many network spans."""
        is_tap = isinstance(case, PluginCase) and case.mode == "tap"
        spans = 0 if is_tap else sent.spans
        hops = sent.exchanges * HOPS_PER_EXCHANGE

        def count_missing() -> tuple[int, int]:
            received = self._tally.read().since(before)
            return spans - received.spans, hops - received.network_spans

        started = time.monotonic()
        missing = count_missing()
        while any(count > 0 for count in missing):
            waited_s = time.monotonic() - started
            if waited_s > DRAIN_S or (waited_s > NETWORK_DRAIN_S and missing[0] <= 0):
                break
            time.sleep(_POLL_S)
            missing = count_missing()
        return missing


def read_rss_peak_mib(pid: int) -> float:
    """Return the most memory that the process ever had resident."""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def _list_percentiles_ms(sent: Sent) -> tuple[float, float]:
    milliseconds = [latency_ns / 1e6 for latency_ns in sent.latencies_ns]
    return percentile(milliseconds, 0.5), percentile(milliseconds, 0.99)
