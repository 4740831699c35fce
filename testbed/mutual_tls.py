"""Configures sidecars to speak mutual TLS to each other, to name their connections, and to log what was true.

Turns a pod's certificate into parts of Envoy's bootstrap configuration; no IO but the certificates' own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.certificates import Authority, Pair
from testbed.topology import PODS

Value = str | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]
"""What JSON can hold."""

CUSTOM_TAGS: Value = [
    {"tag": "hopspan.local", "value": "%UPSTREAM_LOCAL_ADDRESS%"},
    {"tag": "hopspan.remote", "value": "%UPSTREAM_REMOTE_ADDRESS%"},
    {"tag": "hopspan.protocol", "value": "%UPSTREAM_PROTOCOL%"},
]
"""As otel-config/envoy has them."""

_LOG_FORMAT: Value = {
    "request_id": "%REQ(X-REQUEST-ID)%",
    "context": "%REQ(TRACEPARENT)%",  # once the sidecar has traced: that which it sends
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "local": "%UPSTREAM_LOCAL_ADDRESS%",
    "start": "%START_TIME(%s.%6f)%",
    "first_answer_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_BEG:us)%",
    "end_us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "status": "%RESPONSE_CODE%",
}
_TYPE = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class MutualTls:
    """What one sidecar needs."""

    pair: Pair
    ca_file: str
    log_directory: Path
    version: str | None = None
    """Of TLS, `TLSv1_2` or `TLSv1_3`; else what Envoy agrees on."""

    @property
    def key_log(self) -> Path:
        """Return the file that the sidecar writes the keys of its connections to, so that a capture can be read."""
        return self.log_directory / f"{Path(self.pair.cert_file).stem}-keys.log"

    def log_path(self, direction: str) -> Path:
        """Return the file in which a listener (`INBOUND`, `OUTBOUND`) logs each request as a line of JSON."""
        return self.log_directory / f"{Path(self.pair.cert_file).stem}-{direction.lower()}-requests.jsonl"


def make_mutual_tls(directory: Path, version: str | None = None) -> dict[str, MutualTls]:
    """Return what each pod's sidecar needs, by service; certificates and logs are in the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory / "authority")
    return {
        pod.service: MutualTls(authority.issue(pod.service), authority.ca_file, directory, version) for pod in PODS
    }


def render_upstream(tls: MutualTls) -> Value:
    """Return the transport socket of a cluster that leads to another sidecar."""
    return _render_socket("UpstreamTlsContext", {"common_tls_context": _render_context(tls)})


def render_filter_chains(tls: MutualTls, filters: Value) -> dict[str, Value]:
    """Return the part of an inbound listener that tells TLS, which needs a certificate, from plain text of users."""
    context: dict[str, Value] = {"common_tls_context": _render_context(tls), "require_client_certificate": True}
    inspector = f"{_TYPE}.filters.listener.tls_inspector.v3.TlsInspector"
    return {
        "listener_filters": [{"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": inspector}}],
        "filter_chains": [
            {
                "filter_chain_match": {"transport_protocol": "tls"},
                "transport_socket": _render_socket("DownstreamTlsContext", context),
                "filters": filters,
            },
            {"filter_chain_match": {"transport_protocol": "raw_buffer"}, "filters": filters},
        ],
    }


def render_access_log(tls: MutualTls, direction: str) -> Value:
    """Return the access log of a listener's manager."""
    return [
        {
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": f"{_TYPE}.access_loggers.file.v3.FileAccessLog",
                "path": str(tls.log_path(direction)),
                "log_format": {"json_format": _LOG_FORMAT},
            },
        }
    ]


def _render_context(tls: MutualTls) -> Value:
    version: Value = (
        {}
        if tls.version is None
        else dict.fromkeys(("tls_minimum_protocol_version", "tls_maximum_protocol_version"), tls.version)
    )
    return {
        "tls_params": version,
        "key_log": {"path": str(tls.key_log)},
        "tls_certificates": [
            {"certificate_chain": {"filename": tls.pair.cert_file}, "private_key": {"filename": tls.pair.key_file}}
        ],
        "validation_context": {"trusted_ca": {"filename": tls.ca_file}},
    }


def _render_socket(kind: str, context: Mapping[str, Value]) -> Value:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": f"{_TYPE}.transport_sockets.tls.v3.{kind}", **context},
    }
