"""Composition: builds the plugin that a configuration describes, starts it, and stops it in order.

The only place where the parts meet; each of them knows its neighbours by their shape alone.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from collector_plugin.admission import Admission
from collector_plugin.claims import Claims
from collector_plugin.config import OwnTraces as OwnTracesSettings
from collector_plugin.config import PluginConfig
from collector_plugin.exporters import OpenExporter, open_exporter
from collector_plugin.flow_names import FlowNames
from collector_plugin.health import MAX_SILENCE_NS, Pulse, judge_health
from collector_plugin.hops import PLAIN_ENDS
from collector_plugin.http_services import Accept
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.kubernetes_names import KubernetesNames
from collector_plugin.pipeline import Flows, Pipeline
from collector_plugin.receiver_metrics import read_receiver_metrics
from collector_plugin.receivers import Receiver, open_receivers
from collector_plugin.report import Report
from collector_plugin.senders import Senders
from collector_plugin.ticker import Ticker
from hopspan.errors import HopspanError
from hopspan.health import Health
from hopspan.logs import Log
from hopspan.metrics import Metric, MetricsServer
from hopspan.version import VERSION

if TYPE_CHECKING:
    from collector_plugin.own_traces import OwnTraces

IN_FLIGHT_GRACE_S = 5.0
"""What requests under way get at the end: the exporter's timeout, which is the longest they can take."""

DRAIN_NS = 8 * 10**9
"""What queues get at the end; with the grace above well within the 30 s that Kubernetes gives."""

TRACES_DRAIN_NS = 10**9
"""What own spans get at the end, after everybody else's."""


class Plugin:
    """A plugin from start to stop."""

    def __init__(self, config: PluginConfig, log: Log) -> None:
        """Build all parts and listen. Raises HopspanError, naming what is at fault, with nothing left open."""
        self._log = log
        self._exporters: list[OpenExporter] = []
        self._receivers: dict[str, Receiver] = {}
        self._metrics: MetricsServer | None = None
        self._is_serving = False
        self._traces: OwnTraces | None = None
        self._names = _open_names(config, log)
        self._join = Join(
            _read_join_settings(config), PLAIN_ENDS if self._names is None else self._names.describe_ends
        )
        try:
            if config.telemetry.traces is not None:
                self._traces = _open_traces(config.telemetry.traces, log)
            for name, settings in config.exporters.items():
                self._exporters.append(self._trace_exporter(open_exporter(name, settings)))
            self._senders = Senders(self._exporters, config.mode, config.acknowledge, log)
            flows = Flows(FlowNames(config.flows.attributes), Claims(log)) if config.flows.enabled else None
            self._pipeline = Pipeline(self._join, self._senders.outlets, VERSION, log, flows)
            self._ticker = Ticker(self._tick, log)
            admission = Admission()
            for name, receiver in open_receivers(
                config.receivers, self._pipeline, admission, self._read_stored_bytes, self._trace_accept
            ):
                self._receivers[name] = receiver
            read_others = partial(self._read_other_metrics, admission)
            reported = [*self._senders.reported, *([self._traces.reported] if self._traces is not None else [])]
            self.report = Report(self._join, self._pipeline, tuple(reported), read_others)
            page = config.telemetry.metrics.endpoint
            self._metrics = MetricsServer(page, self.report.read_metrics, self._read_health)
        except HopspanError:
            self._close_doors()
            raise
        self.endpoints = {name: receiver.endpoint for name, receiver in self._receivers.items()}
        """By receiver where it listens."""
        self.metrics_port = self._metrics.port
        """Where the metrics are served."""

    def start(self) -> None:
        """Serve, and say so."""
        if self._traces is not None:
            self._traces.start()
        if self._names is not None:
            self._names.start()
        self._senders.start()
        self._ticker.start()
        for receiver in self._receivers.values():
            receiver.start()
        self._is_serving = True
        listening: dict[str, str | int] = {}
        for name, endpoint in self.endpoints.items():
            listening |= {name: str(endpoint), f"{name}_port": endpoint.port}
        exporters = " ".join(one.name for one in self._exporters)
        self._log.info("ready", version=VERSION, **listening, metrics_port=self.metrics_port, exporters=exporters)

    def stop(self) -> None:
        """Take no more, deliver what can be, and tell all counts."""
        self._is_serving = False
        self._close_receivers(IN_FLIGHT_GRACE_S)
        self._ticker.stop()
        self._pipeline.drain(time.monotonic_ns())
        if self._names is not None:
            self._names.stop()
        self._senders.close(time.monotonic_ns() + DRAIN_NS)
        self._close_doors()
        self._senders.join(1.0)
        self._log.info("stopped", **self.report.read_fields())

    def is_alive(self) -> bool:
        """Tell whether the join still turns: a peer that is away is no reason to start anew."""
        return self._read_silence_ns() <= MAX_SILENCE_NS

    def _tick(self, now_ns: int) -> None:
        if self._pipeline.flows is not None:
            self._pipeline.flows.claims.flush(now_ns)
        self._pipeline.tick(now_ns)

    def _read_silence_ns(self) -> int:
        last_ns = self._ticker.last_ns
        return time.monotonic_ns() - last_ns if last_ns else 0

    def _read_health(self) -> Health:
        pulse = Pulse(
            is_serving=self._is_serving,
            silence_ns=self._read_silence_ns(),
            failed_attempts=self._senders.count_failed_attempts(),
        )
        return judge_health(pulse)

    def _read_other_metrics(self, admission: Admission) -> Iterator[Metric]:
        yield from read_receiver_metrics(self._receivers, admission)
        if self._pipeline.flows is not None:
            yield from self._pipeline.flows.claims.read_metrics()
        if self._names is not None:
            yield from self._names.read_metrics()

    def _trace_accept(self, receiver: str, transport: str, accept: Accept) -> Accept:
        return self._traces.trace_accept(receiver, transport, accept) if self._traces is not None else accept

    def _trace_exporter(self, one: OpenExporter) -> OpenExporter:
        if self._traces is None:
            return one
        return OpenExporter(one.name, self._traces.trace_exporter(one.name, one.exporter), one.format)

    def _read_stored_bytes(self) -> int:
        """Return what is remembered, and what waits to be sent without a client: all that grows by itself."""
        join = self._join
        waiting_bytes = join.waiting.size_bytes + join.messages.waiting_bytes
        queued_bytes = self._pipeline.arrivals.size_bytes + self._senders.queued_bytes
        if self._pipeline.flows is not None:
            queued_bytes += self._pipeline.flows.claims.size_bytes
        return join.parents.size_bytes + waiting_bytes + queued_bytes

    def _close_receivers(self, grace_s: float) -> None:
        """Close them together: one that has to wait for its clients must not take the others' time."""
        stops = [receiver.stop for receiver in self._receivers.values()]
        if stops:
            with ThreadPoolExecutor(len(stops)) as threads:
                for done in [threads.submit(stop, grace_s) for stop in stops]:
                    done.result()

    def _close_doors(self) -> None:
        self._close_receivers(0)
        for one in self._exporters:
            one.exporter.close()
        if self._traces is not None:
            self._traces.close(time.monotonic_ns() + TRACES_DRAIN_NS)
        if self._metrics is not None:
            self._metrics.close()


def _open_traces(settings: OwnTracesSettings, log: Log) -> "OwnTraces":
    try:
        # Here alone, and only where traces are on: the SDK costs memory, and need not be installed.
        from collector_plugin.own_traces import OwnTraces  # noqa: PLC0415
    except ImportError as error:
        raise HopspanError(f"telemetry.traces: needs the packages of hopspan[traces] ({error})") from error
    return OwnTraces(settings, log)


def _open_names(config: PluginConfig, log: Log) -> KubernetesNames | None:
    if not config.kubernetes.enabled:
        return None
    # A transit may wait for its parent, and as long again for its clock.
    return KubernetesNames(config.kubernetes, 2 * (config.window + config.settle), log)


def _read_join_settings(config: PluginConfig) -> JoinSettings:
    return JoinSettings(
        window_ns=config.window,
        settle_ns=config.settle,
        min_duration_ns=config.spans.min_duration,
        max_per_trace=config.spans.max_per_trace,
        detail=config.spans.detail,
        slow_threshold_ns=config.spans.slow_threshold,
    )
