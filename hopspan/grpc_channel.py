"""Opens gRPC channels as an exporter's settings say: TLS, compression, and how soon a peer that is back is found."""

from collections.abc import Iterable
from typing import Any

import grpc

from hopspan.settings import Compression, OtlpExporter, TlsClient
from hopspan.tls_files import check_tls_files, read_tls_file
from hopspan.user_agent import USER_AGENT

MAX_RESPONSE_BYTES = 4 << 20
"""OTLP asks servers to stay below 4 MiB; without a cap a hostile peer could fill our memory (CVE-2026-39882)."""

INITIAL_RECONNECT_MS = 1_000
MAX_RECONNECT_MS = 5_000
"""gRPC's default lets a channel sleep for two minutes; a peer that is back should be found within seconds."""

MIN_CONNECT_TIMEOUT_MS = 5_000
"""What one attempt to connect may take (gRPC names the option otherwise); as long as an export may."""


def open_channel(
    settings: OtlpExporter, target: str | None = None, extra: Iterable[tuple[str, Any]] = ()
) -> grpc.Channel:
    """Return a channel, which connects with its first call. Raises HopspanError for an unusable file.

    A `target` in place of the endpoint, in gRPC's notation, is one of the endpoint's addresses.
    """
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
        *extra,
    ]
    if target is not None:
        # The certificate is still that of the name, and so is what a proxy goes by.
        options.append(("grpc.default_authority", str(settings.endpoint)))
        if not settings.tls.insecure:
            options.append(("grpc.ssl_target_name_override", settings.endpoint.host))
    gzip = settings.compression is Compression.GZIP
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    target = str(settings.endpoint) if target is None else target
    if settings.tls.insecure:
        return grpc.insecure_channel(target, options=options, compression=compression)
    return grpc.secure_channel(target, _read_credentials(settings.tls), options=options, compression=compression)


def _read_credentials(tls: TlsClient) -> grpc.ChannelCredentials:
    check_tls_files(tls)
    return grpc.ssl_channel_credentials(
        root_certificates=_read_optional("ca_file", tls.ca_file),
        private_key=_read_optional("key_file", tls.key_file),
        certificate_chain=_read_optional("cert_file", tls.cert_file),
    )


def _read_optional(key: str, name: str | None) -> bytes | None:
    return read_tls_file(key, name) if name is not None else None
