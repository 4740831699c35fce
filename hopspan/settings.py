"""The parts of the configuration that both programs have, as frozen Structs; keys are named like the Collector's.

Pure. The strings under the fields are their documentation: meaning, unit, default and why.
"""

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from hopspan.values import Listener, Peer, PositiveDuration

DEFAULT_TIMEOUT_NS = 5 * 10**9

# gRPC metadata keys: lower-case header names (gRPC over HTTP/2, "Header-Name"); `-bin` values would have to be bytes.
_METADATA_KEY = re.compile(r"(?!grpc-)[0-9a-z_.-]{1,255}(?<!-bin)", re.ASCII)
_METADATA_VALUE = re.compile(r"[\x20-\x7e]{0,8192}")


class Compression(enum.StrEnum):
    """How requests are compressed."""

    NONE = "none"
    GZIP = "gzip"


class LogLevel(enum.StrEnum):
    """The least important log lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class TlsClient(msgspec.Struct, frozen=True, kw_only=True):
    """TLS towards a peer; without any key: TLS with the system's authorities."""

    insecure: bool = False
    """Use no TLS at all. Default false, as in the Collector: spans tell much, so plain text is a decision."""
    ca_file: str | None = None
    """PEM file of the authorities that sign the peer's certificate. Default: public ones, over gRPC those that it
    brings, over HTTP the system's."""
    cert_file: str | None = None
    """PEM file of our own certificate, for mutual TLS; needs key_file."""
    key_file: str | None = None
    """PEM file of our own private key, for mutual TLS; needs cert_file."""

    def validate(self) -> Iterator[str]:
        """Yield faults: half a key pair, and files that would not be used."""
        if (self.cert_file is None) != (self.key_file is None):
            absent, given = ("key_file", "cert_file") if self.key_file is None else ("cert_file", "key_file")
            yield f"{absent}: missing ({given} needs it)"
        if self.insecure:
            for key in ("ca_file", "cert_file", "key_file"):
                if getattr(self, key) is not None:
                    yield f"{key}: has no effect while insecure is true"


class ExporterAuth(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown to a peer."""

    bearer_token_file: Annotated[str, msgspec.Meta(min_length=1)]
    """File whose first line is a bearer token; it is read again when it changes. Required."""


class OtlpExporter(msgspec.Struct, frozen=True, kw_only=True):
    """An OTLP/gRPC peer that requests are sent to."""

    endpoint: Peer
    """`host:port` of the peer. Required: nobody but the user knows where spans may go."""
    tls: TlsClient = TlsClient()
    """TLS towards the peer. Without any key: on, with the authorities that gRPC brings."""
    headers: dict[str, str] = {}
    """Metadata sent with each request, such as credentials. Names are case-insensitive. Default: none."""
    auth: ExporterAuth | None = None
    """A bearer token from a file, sent as the header `authorization`. Default: none."""
    compression: Compression = Compression.NONE
    """`none` or `gzip`. Default `none`: inside a cluster the CPU is dearer than the bytes."""
    timeout: PositiveDuration = DEFAULT_TIMEOUT_NS
    """How long one attempt may take. Default 5s, as in the Collector."""

    def __repr__(self) -> str:
        """Leave out the values of headers: they may be credentials."""
        return f"OtlpExporter(endpoint={self.endpoint!r}, headers={sorted(self.headers)})"

    def validate(self) -> Iterator[str]:
        """Yield faults: headers that gRPC would refuse. Their values are never repeated."""
        yield from find_second_authorization(self.auth, self.headers)
        for name, value in self.headers.items():
            if not _METADATA_KEY.fullmatch(name.lower()):
                yield f"headers.{name}: is not a header name that can be set"
            if not _METADATA_VALUE.fullmatch(value):
                yield f"headers.{name}: its value has characters other than printable ASCII"


def find_second_authorization(auth: ExporterAuth | None, headers: Mapping[str, str]) -> Iterator[str]:
    """Yield a fault where the header that `auth` sets is among the headers."""
    if auth is not None and any(name.lower() == "authorization" for name in headers):
        yield "auth: has authorization among headers beside it (give one of them)"


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Where the program's own metrics are served."""

    endpoint: Listener
    """`host:port` of the OpenMetrics page, `/metrics`. Each program sets its own default on localhost."""


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """What is logged to stderr, as JSON lines."""

    level: LogLevel = LogLevel.INFO
    """`debug`, `info`, `warn` or `error`. Default info: start, stop, and each new kind of trouble."""


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """What the program tells of itself. A program's own subclass gives `metrics` its default."""

    metrics: Metrics
    """Its metrics."""
    logs: Logs = Logs()
    """Its log: JSON lines on stderr."""
