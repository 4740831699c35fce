"""Opens the receivers that the configuration describes.

Edge, beside `plugin`: the only place that knows every kind of receiver.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from collector_plugin.admission import Admission
from collector_plugin.config import Receivers
from collector_plugin.grpc_claims import ClaimsService
from collector_plugin.grpc_service import Taker
from collector_plugin.http_services import Accept, make_otlp_service, make_zipkin_service
from collector_plugin.otlp_json_request import read_otlp_json
from collector_plugin.pipeline import Pipeline
from collector_plugin.receiver_grpc import GrpcReceiver
from collector_plugin.receiver_http import HttpReceiver
from collector_plugin.span_request import SpanFormat
from collector_plugin.zipkin_proto import read_list_of_spans
from hopspan.values import Endpoint

Trace = Callable[[str, str, Accept], Accept]
"""(receiver, transport, what takes requests) -> the same, or something around it."""


class Receiver(Protocol):
    """A server that hands requests to the pipeline."""

    endpoint: Endpoint
    """What is listened on: with the system's choice where the configured port is 0."""

    def start(self) -> None:
        """Begin to serve."""

    def stop(self, grace_s: float) -> None:
        """Take no more requests, and wait up to `grace_s` for those under way."""

    def count_answers(self) -> dict[str, int]:
        """Return how many requests were answered, by status."""

    def count_ends(self) -> dict[str, int]:
        """Return how many connections or requests were ended by our doing, by the reason."""


def open_receivers(
    settings: Receivers,
    pipeline: Pipeline,
    admission: Admission,
    read_stored_bytes: Callable[[], int],
    trace: Trace,
) -> Iterator[tuple[str, Receiver]]:
    """Yield each receiver with its name, listening; HopspanError names the key of one that cannot.

    All of them share `admission`, the bytes that requests may hold; `read_stored_bytes` tells what is remembered.
    `trace` may put something around what takes requests.
    """
    protocols = settings.otlp.protocols
    yield (
        "otlp_grpc",
        GrpcReceiver(
            protocols.grpc,
            _make_taker(pipeline, trace),
            admission,
            read_stored_bytes,
            ClaimsService(pipeline.flows.claims) if pipeline.flows is not None else None,
        ),
    )
    if protocols.http is not None:
        service = make_otlp_service(trace("otlp", "http", pipeline.accept), read_otlp_json, waits=pipeline.waits)
        yield "otlp_http", HttpReceiver(protocols.http, service, admission, "receivers.otlp.protocols.http")
    if settings.zipkin is not None:
        service = make_zipkin_service(
            trace("zipkin", "http", pipeline.accept_zipkin),
            read_list_of_spans,
            waits=pipeline.waits,
            converts=pipeline.converts(SpanFormat.ZIPKIN),
        )
        yield "zipkin", HttpReceiver(settings.zipkin, service, admission, "receivers.zipkin")


def _make_taker(pipeline: Pipeline, trace: Trace) -> Taker:
    accept = trace("otlp", "grpc", pipeline.accept)
    # What is around `accept` sees its end, so that somebody has to wait for it.
    can_begin = pipeline.waits and accept == pipeline.accept
    return Taker(accept, pipeline.waits, pipeline.begin if can_begin else None)
