"""What the HTTP receivers serve: for each protocol its path, its content types, and how it tells success and failure.

Pure. The readers of formats and the taker of requests are given to it.
"""

from collections.abc import Callable, Mapping

import msgspec

from collector_plugin.http_answers import (
    JSON,
    PROTOBUF,
    Answer,
    Failure,
    write_otlp_failure,
    write_otlp_success,
    write_text_failure,
    write_zipkin_success,
)
from collector_plugin.reading_cost import (
    estimate_json,
    estimate_zipkin_ids,
    estimate_zipkin_json,
    estimate_zipkin_protobuf,
)
from hopspan.export_errors import ExportResult

Accept = Callable[[bytes, Callable[[], bool], int], ExportResult]
"""(request, whether the client still waits, monotonic now) -> what the peer said."""

Reader = Callable[[bytes], bytes]
"""Turns a body into what the taker of requests takes; raises WireError."""


Estimate = Callable[[bytes], int]
"""Returns what it takes in memory to read a body, beside the body."""


class SpanService(msgspec.Struct, frozen=True):
    """One protocol."""

    path: str
    subject: str
    """What a body should be, for errors: `not <subject>: ...`."""
    readers: Mapping[str, Reader | None]
    """By content type; None: the body is taken as it is."""
    default_type: str | None
    """The content type of requests that name none."""
    accept: Accept
    write_success: Callable[[ExportResult, str], Answer]
    write_failure: Callable[[Failure, str | None], Answer]
    reading_costs: Mapping[str, Estimate] = {}
    """By content type what reading takes, while it is read; of those that are absent nothing to speak of."""
    handling_costs: Mapping[str, Estimate] = {}
    """By content type what the taker takes, until the answer."""
    quick_type: str | None = None
    """Of this content type small requests that are not packed are taken at once: no peer is waited for."""


def make_otlp_service(accept: Accept, read_json: Reader, *, waits: bool = True) -> SpanService:
    """Return OTLP/HTTP: `accept` takes protobuf, and may wait for a peer; `read_json` turns JSON into it."""
    return SpanService(
        path="/v1/traces",
        subject="an ExportTraceServiceRequest",
        readers={PROTOBUF: None, JSON: read_json},
        default_type=None,
        accept=accept,
        write_success=write_otlp_success,
        write_failure=write_otlp_failure,
        reading_costs={JSON: estimate_json},
        quick_type=None if waits else PROTOBUF,
    )


def make_zipkin_service(
    accept: Accept, read_protobuf: Reader, *, waits: bool = True, converts: bool = True
) -> SpanService:
    """Return Zipkin v2: `accept` takes a JSON array, and may wait; `read_protobuf` turns a ListOfSpans into it.

    `converts` tells whether the taker puts spans into another format, for which it reads all of them.
    """
    cost = estimate_zipkin_json if converts else estimate_zipkin_ids
    return SpanService(
        path="/api/v2/spans",
        subject="a list of spans",
        readers={JSON: _read_array, PROTOBUF: read_protobuf},
        # As Zipkin's server has it.
        default_type=JSON,
        accept=accept,
        write_success=write_zipkin_success,
        write_failure=write_text_failure,
        reading_costs={PROTOBUF: estimate_zipkin_protobuf},
        handling_costs={JSON: cost, PROTOBUF: cost},
        quick_type=None if waits else JSON,
    )


def _read_array(data: bytes) -> bytes:
    # Zipkin's server takes an empty body for no spans.
    return data or b"[]"
