"""Serves a program's own metrics as OpenMetrics, and its health. The only module that imports prometheus_client.

The program keeps plain integers and hands over callbacks that read them; nothing is counted or judged here.
"""

import enum
import math
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

import msgspec
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, Exemplar, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from hopspan.errors import HopspanError
from hopspan.health import PAGES, Health, render_health
from hopspan.values import Endpoint

PREFIX = "hopspan_"

REQUEST_TIMEOUT_S = 10
"""What a client gets to write its request: one that says nothing would else hold a thread for ever."""


class MetricKind(enum.Enum):
    """How a metric's numbers move."""

    COUNTER = "counter"
    """Only grows; its samples get the suffix `_total`."""
    GAUGE = "gauge"


class Metric(msgspec.Struct, frozen=True):
    """One metric with all its samples at this moment."""

    name: str
    """With the prefix `hopspan_`, a base unit where it has one, and without `_total`."""
    kind: MetricKind
    help: str
    samples: tuple[tuple[dict[str, str], float], ...]
    """(labels, value); one sample without labels is `(({}, 3),)`."""


class Bucket(msgspec.Struct, frozen=True):
    """What a histogram counted up to one bound."""

    bound: float
    """Inclusive, in the metric's unit; infinity for the last."""
    count: int
    """Everything up to the bound, smaller buckets included."""
    trace_id: bytes | None = None
    """Of one trace among those counted here and in no smaller bucket: the exemplar."""
    example: float = 0.0
    """Its value."""
    example_epoch_s: float = 0.0
    """When it was."""


class Histogram(msgspec.Struct, frozen=True):
    """One distribution for each combination of labels at this moment."""

    name: str
    """As a metric's."""
    help: str
    samples: tuple[tuple[dict[str, str], tuple[Bucket, ...], float], ...]
    """(labels, buckets by growing bound, sum of all values)."""


def count(name: str, text: str, value: float) -> Metric:
    """Return a counter without labels."""
    return Metric(name, MetricKind.COUNTER, text, (({}, value),))


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return Metric(name, MetricKind.GAUGE, text, (({}, value),))


def count_by(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    """Return a counter with one label: `values` has (label value, count)."""
    return Metric(name, MetricKind.COUNTER, text, tuple(({label: key}, value) for key, value in values))


def gauge_by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with one label, whose values are the keys."""
    return Metric(name, MetricKind.GAUGE, text, tuple(({label: key}, value) for key, value in values.items()))


class MetricsServer:
    """An HTTP server with `/metrics` and the pages of the health, in threads of its own."""

    def __init__(
        self,
        endpoint: Endpoint,
        read_metrics: Callable[[], Iterable[Metric | Histogram]],
        read_health: Callable[[], Health] = Health,
    ) -> None:
        """Listen at once. Both callbacks are called for every request, from another thread.

        Raises HopspanError where the endpoint cannot be listened on.
        """
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Reader(read_metrics))
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=registry)
        try:
            self._server = _open_server(endpoint)
        except OSError as error:
            raise HopspanError(
                f"telemetry.metrics.endpoint: cannot listen on {endpoint}: {error.strerror}"
            ) from error
        self._server.set_app(_Pages(make_wsgi_app(registry), read_health))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()
        self.port = int(self._server.server_port)
        """The port that is listened on: the system's choice where the endpoint has port 0."""

    def close(self) -> None:
        """Stop listening and wait for the server's thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Pages:
    """The WSGI application: which page answers which path."""

    def __init__(self, metrics: Callable[..., Iterable[bytes]], read_health: Callable[[], Health]) -> None:
        self._metrics = metrics
        self._read_health = read_health

    def __call__(self, environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "")
        if path in ("/", "/metrics"):
            return self._metrics(environment, start_response)
        if path in PAGES:
            line, body = render_health(self._read_health(), path)
            start_response(line, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [f"/metrics, {', '.join(PAGES)} are here\n".encode()]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, family: int, address: tuple[Any, ...]) -> None:
        self.address_family = family
        super().__init__(address, _SilentHandler)

    def server_bind(self) -> None:
        """Bind without the look-up of our own name that http.server makes: a slow resolver would delay the start."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _SilentHandler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: a scrape every few seconds is no news."""


def _open_server(endpoint: Endpoint) -> _Server:
    found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = found[0]
    return _Server(family, address)


class _Reader(Collector):
    def __init__(self, read_metrics: Callable[[], Iterable[Metric | Histogram]]) -> None:
        self._read_metrics = read_metrics

    def collect(self) -> Iterator[Any]:
        for metric in self._read_metrics():
            yield _build_family(metric)


def _build_family(metric: Metric | Histogram) -> Family:
    if not metric.name.startswith(PREFIX):
        raise ValueError(f"metric {metric.name} lacks the prefix {PREFIX}")
    labels = tuple(metric.samples[0][0]) if metric.samples else ()
    if isinstance(metric, Histogram):
        return _build_histogram(metric, labels)
    kind = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = kind(metric.name, metric.help, labels=labels)
    for values, number in metric.samples:
        family.add_metric([values[label] for label in labels], number)
    return family


def _build_histogram(metric: Histogram, labels: tuple[str, ...]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.help, labels=labels)
    for values, buckets, total in metric.samples:
        family.add_metric([values[label] for label in labels], [_build_bucket(bucket) for bucket in buckets], total)
    return family


def _build_bucket(bucket: Bucket) -> tuple[str, float] | tuple[str, float, Exemplar]:
    bound = "+Inf" if math.isinf(bucket.bound) else str(bucket.bound)
    if bucket.trace_id is None:
        return bound, bucket.count
    exemplar = Exemplar({"trace_id": bucket.trace_id.hex()}, bucket.example, bucket.example_epoch_s)
    return bound, bucket.count, exemplar
