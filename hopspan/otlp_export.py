"""The door to OTLP/gRPC peers: sends ready-made request bytes.

One attempt per call: whether and when to try again is the caller's business, since gRPC's own retries know no
RetryInfo and replay nothing above 256 KiB. What it raises may be logged: the values of headers are taken out of it.
"""

import threading
from collections.abc import Iterable

import grpc

from hopspan.errors import HopspanError
from hopspan.export_auth import ExportAuth
from hopspan.export_errors import ExportError, ExportResult, PermanentExportError, RetryableExportError
from hopspan.grpc_channel import MAX_RESPONSE_BYTES, open_channel
from hopspan.header_secrets import blot_out
from hopspan.partial_success import read_result
from hopspan.rpc_status import STATUS_KEY, read_retry_after_ns
from hopspan.settings import OtlpExporter
from hopspan.tls_files import read_stamp
from hopspan.user_agent import USER_AGENT

__all__ = ["EXPORT_METHOD", "MAX_RESPONSE_BYTES", "USER_AGENT", "ExportResult", "OtlpGrpcExporter"]

EXPORT_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

# OTLP 1.x, "Failures": RESOURCE_EXHAUSTED only with RetryInfo.
_RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class OtlpGrpcExporter:
    """A channel to one peer. Safe to use from several threads."""

    def __init__(self, settings: OtlpExporter) -> None:
        """Prepare the channel; it connects with the first export. Raises HopspanError for an unusable file."""
        self._settings = settings
        self._metadata = tuple((name.lower(), value) for name, value in settings.headers.items())
        self._auth = ExportAuth(settings.auth, settings.headers)
        self._lock = threading.Lock()
        self._closed = False
        self._stamp = read_stamp(settings.tls)
        self._channel = open_channel(settings)
        self._call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(EXPORT_METHOD)

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:
        """Send `request`, an ExportTraceServiceRequest, once; `timeout_ns` in place of the configured timeout.

        Raises RetryableExportError or PermanentExportError, with gRPC's error as the cause.
        """
        timeout_ns = self._settings.timeout if timeout_ns is None else timeout_ns
        try:
            response = self._call(request, timeout=timeout_ns / 1e9, metadata=self._list_metadata())
        except grpc.RpcError as error:
            fault = self._follow_renewal() if error.code() is grpc.StatusCode.UNAVAILABLE else ""
            raise _map_error(error, self._auth.list_secrets(), fault) from error
        except ValueError as error:
            # grpc raises it for a call on a closed channel.
            raise RetryableExportError("CANCELLED", "the exporter is closed") from error
        result = read_result(response)
        return ExportResult(result.rejected_spans, blot_out(result.message, self._auth.list_secrets()))

    def close(self) -> None:
        """Close the channel; calls in flight end as CANCELLED."""
        with self._lock:
            self._closed = True
            self._channel.close()

    def _list_metadata(self) -> tuple[tuple[str, str], ...]:
        authorization = self._auth.read_authorization()
        return self._metadata if authorization is None else (*self._metadata, ("authorization", authorization))

    def _follow_renewal(self) -> str:
        """Begin afresh where a TLS file has changed: certificates live for weeks, and gRPC keeps what it got.

        Return what is wrong with the new files: half of a pair may be there, so the next failure looks again.
        """
        with self._lock:
            stamp = read_stamp(self._settings.tls)
            if self._closed or stamp == self._stamp:
                return ""
            try:
                renewed = open_channel(self._settings)
            except HopspanError as error:
                return str(error)
            self._channel.close()
            self._channel, self._call, self._stamp = renewed, renewed.unary_unary(EXPORT_METHOD), stamp
        return ""


def _map_error(error: grpc.RpcError, secrets: Iterable[str], fault: str) -> ExportError:
    # RpcError itself declares nothing; the errors of calls are grpc.Call as well.
    code: grpc.StatusCode = error.code()
    message = blot_out("; ".join(filter(None, (fault, error.details()))), secrets)
    retry_after_ns = _read_retry_after_ns(error)
    throttled = code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after_ns is not None
    if code in _RETRYABLE or throttled:
        return RetryableExportError(code.name, message, retry_after_ns)
    return PermanentExportError(code.name, message)


def _read_retry_after_ns(error: grpc.RpcError) -> int | None:
    for item in error.trailing_metadata() or ():
        if item.key == STATUS_KEY and isinstance(item.value, bytes):
            return read_retry_after_ns(item.value)
    return None
