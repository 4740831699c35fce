"""The door to OTLP/gRPC peers: sends ready-made request bytes. Beside the plugin's receiver alone in importing grpc.

One attempt per call: whether and when to try again is the caller's business, since gRPC's own retries know no
RetryInfo and replay nothing above 256 KiB.
"""

from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from hopspan.errors import HopspanError
from hopspan.export_errors import ExportError, ExportResult, PermanentExportError, RetryableExportError
from hopspan.rpc_status import STATUS_KEY, read_retry_after_ns
from hopspan.settings import Compression, OtlpExporter, TlsClient
from hopspan.version import VERSION

__all__ = ["EXPORT_METHOD", "MAX_RESPONSE_BYTES", "USER_AGENT", "ExportResult", "OtlpGrpcExporter"]

EXPORT_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

MAX_RESPONSE_BYTES = 4 << 20
"""OTLP asks servers to stay below 4 MiB; without a cap a hostile peer could fill our memory (CVE-2026-39882)."""

MAX_MESSAGE_CHARACTERS = 300
"""Of a peer's error text: enough to understand it, too little to flood logs and answers."""

USER_AGENT = f"hopspan/{VERSION} OTel-OTLP-Exporter-Python/{VERSION}"
"""The form that OTLP's exporter specification asks for, with our product in front."""

INITIAL_RECONNECT_MS = 1_000
MAX_RECONNECT_MS = 5_000
"""gRPC's default lets a channel sleep for two minutes; a peer that is back should be found within seconds."""

MIN_CONNECT_TIMEOUT_MS = 5_000
"""What one attempt to connect may take (gRPC names the option otherwise); as long as an export may."""

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
        """Prepare the channel; it connects with the first export. Raises HopspanError for an unusable TLS file."""
        self._timeout_ns = settings.timeout
        self._metadata = tuple((name.lower(), value) for name, value in settings.headers.items())
        self._channel = _open_channel(settings)
        self._call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(EXPORT_METHOD)

    def export(self, request: bytes, timeout_ns: int | None = None) -> ExportResult:
        """Send `request`, an ExportTraceServiceRequest, once; `timeout_ns` in place of the configured timeout.

        Raises RetryableExportError or PermanentExportError, with gRPC's error as the cause.
        """
        timeout_ns = self._timeout_ns if timeout_ns is None else timeout_ns
        try:
            response = self._call(request, timeout=timeout_ns / 1e9, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _map_error(error) from error
        except ValueError as error:
            # grpc raises it for a call on a closed channel.
            raise RetryableExportError("CANCELLED", "the exporter is closed") from error
        return _read_response(response)

    def close(self) -> None:
        """Close the channel; calls in flight end as CANCELLED."""
        self._channel.close()


def _open_channel(settings: OtlpExporter) -> grpc.Channel:
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ("grpc.primary_user_agent", USER_AGENT),
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", INITIAL_RECONNECT_MS),
        ("grpc.min_reconnect_backoff_ms", MIN_CONNECT_TIMEOUT_MS),
        ("grpc.max_reconnect_backoff_ms", MAX_RECONNECT_MS),
        # Else two exporters to one address share a connection, and with it the fate of each other's backoff.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    gzip = settings.compression is Compression.GZIP
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    target = str(settings.endpoint)
    if settings.tls.insecure:
        return grpc.insecure_channel(target, options=options, compression=compression)
    return grpc.secure_channel(target, _read_credentials(settings.tls), options=options, compression=compression)


def _read_credentials(tls: TlsClient) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_read_file("ca_file", tls.ca_file),
        private_key=_read_file("key_file", tls.key_file),
        certificate_chain=_read_file("cert_file", tls.cert_file),
    )


def _read_file(key: str, name: str | None) -> bytes | None:
    if name is None:
        return None
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise HopspanError(f"{key}: {name} cannot be read: {error.strerror}") from error


def _map_error(error: grpc.RpcError) -> ExportError:
    # RpcError itself declares nothing; the errors of calls are grpc.Call as well.
    code: grpc.StatusCode = error.code()
    message = (error.details() or "")[:MAX_MESSAGE_CHARACTERS]
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


def _read_response(response: bytes) -> ExportResult:
    try:
        partial = ExportTraceServiceResponse.FromString(response).partial_success
    except DecodeError:
        # The status was OK, so the spans are there; an unreadable remark changes nothing about it.
        return ExportResult()
    return ExportResult(partial.rejected_spans, partial.error_message[:MAX_MESSAGE_CHARACTERS])
