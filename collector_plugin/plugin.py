"""Composition: builds the plugin that a configuration describes, starts it, and stops it in order.

The only place where the parts meet; each of them knows its neighbours by their shape alone.
"""

import time

from collector_plugin.config import FileExporter as FileSettings
from collector_plugin.config import PluginConfig
from collector_plugin.delivery import Delivery
from collector_plugin.exporter import Exporter
from collector_plugin.exporter_file import FileExporter
from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.outcomes import SendOutcome
from collector_plugin.pipeline import Outlets, Pipeline
from collector_plugin.receiver_grpc import GrpcReceiver
from collector_plugin.report import APPLICATION, NETWORK, Outlet, Report
from collector_plugin.sending_queue import SendingQueue
from collector_plugin.ticker import Ticker
from hopspan.counters import Counters
from hopspan.errors import HopspanError
from hopspan.logs import Log
from hopspan.metrics import MetricsServer
from hopspan.otlp_export import OtlpGrpcExporter
from hopspan.settings import OtlpExporter
from hopspan.version import VERSION

IN_FLIGHT_GRACE_S = 5.0
"""What requests under way get at the end: the exporter's timeout, which is the longest they can take."""

DRAIN_NS = 8 * 10**9
"""What queues get at the end; with the grace above well within the 30 s that Kubernetes gives."""


class Plugin:
    """A plugin from start to stop."""

    def __init__(self, config: PluginConfig, log: Log) -> None:
        """Build all parts and listen. Raises HopspanError, naming what is at fault, with nothing left open."""
        self._log = log
        self._exporters: dict[str, Exporter] = {}
        self._queues: list[SendingQueue] = []
        self._outlets: list[Outlet] = []
        self._receiver: GrpcReceiver | None = None
        self._metrics: MetricsServer | None = None
        self._join = Join(_read_join_settings(config))
        try:
            for name, settings in config.exporters.items():
                self._exporters[name] = _open_exporter(name, settings)
            self._pipeline = Pipeline(self._join, self._build_outlets(), VERSION, log)
            self._ticker = Ticker(self._pipeline.tick, log)
            receiver = self._receiver = GrpcReceiver(config.receivers.otlp.protocols.grpc, self._pipeline.accept)
            self.report = Report(self._join, self._pipeline, tuple(self._outlets), receiver.count_answers)
            self._metrics = MetricsServer(config.telemetry.metrics.endpoint, self.report.read_metrics)
        except HopspanError:
            self._close_doors()
            raise
        self.grpc_endpoint = receiver.endpoint
        """Where spans and transits are received."""
        self.metrics_port = self._metrics.port
        """Where the metrics are served."""

    def start(self) -> None:
        """Serve, and say so."""
        for queue in self._queues:
            queue.start()
        self._ticker.start()
        if self._receiver is not None:
            self._receiver.start()
        self._log.info(
            "ready",
            version=VERSION,
            otlp_grpc=str(self.grpc_endpoint),
            otlp_grpc_port=self.grpc_endpoint.port,
            metrics_port=self.metrics_port,
            exporters=" ".join(self._exporters),
        )

    def stop(self) -> None:
        """Take no more, deliver what can be, and tell all counts."""
        self._close_receiver(IN_FLIGHT_GRACE_S)
        self._ticker.stop()
        self._pipeline.drain(time.monotonic_ns())
        deadline_ns = time.monotonic_ns() + DRAIN_NS
        for queue in self._queues:
            queue.close(deadline_ns)
        self._close_doors()
        for queue in self._queues:
            queue.join(1.0)
        self._log.info("stopped", **self.report.read_fields())

    def _close_receiver(self, grace_s: float) -> None:
        if self._receiver is not None:
            self._receiver.stop(grace_s)

    def _close_doors(self) -> None:
        self._close_receiver(0)
        for exporter in self._exporters.values():
            exporter.close()
        if self._metrics is not None:
            self._metrics.close()

    def _build_outlets(self) -> Outlets:
        names = list(self._exporters)
        outcomes = Counters(SendOutcome)
        delivery = Delivery(self._exporters[names[0]], outcomes)
        self._outlets.append(Outlet(names[0], APPLICATION, outcomes, lambda: delivery.waiting_bytes))
        application = tuple(self._open_queue(name, APPLICATION) for name in names[1:])
        network = tuple(self._open_queue(name, NETWORK) for name in names)
        return Outlets(delivery, application, network)

    def _open_queue(self, name: str, kind: str) -> SendingQueue:
        outcomes = Counters(SendOutcome)
        queue = SendingQueue(name, self._exporters[name], outcomes, self._log)
        self._queues.append(queue)
        self._outlets.append(Outlet(name, kind, outcomes, lambda: queue.size_bytes))
        return queue


def _read_join_settings(config: PluginConfig) -> JoinSettings:
    return JoinSettings(
        window_ns=config.window,
        settle_ns=config.settle,
        min_duration_ns=config.spans.min_duration,
        max_per_trace=config.spans.max_per_trace,
        detail=config.spans.detail,
        slow_threshold_ns=config.spans.slow_threshold,
    )


def _open_exporter(name: str, settings: OtlpExporter | FileSettings) -> Exporter:
    try:
        if isinstance(settings, OtlpExporter):
            return OtlpGrpcExporter(settings)
        return FileExporter(settings.path)
    except HopspanError as error:
        raise HopspanError(f"exporters.{name}: {error}") from error
