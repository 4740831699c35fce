"""The settings of the HTTP receivers, and what all receivers have; keys are named like the Collector's.

Pure. The strings under the fields are their documentation: meaning, unit, default and why.
"""

from typing import Annotated

import msgspec

from collector_plugin.bearer_auth import BearerAuth
from hopspan.tls_server import TlsServer
from hopspan.values import Endpoint, Listener, PositiveDuration

MAX_REQUEST_MIB = 256


class Guarded(msgspec.Struct, frozen=True, kw_only=True):
    """Who is let in, of every receiver."""

    tls: TlsServer | None = None
    """TLS towards clients. Default: none, since the default endpoint is on localhost."""
    auth: BearerAuth | None = None
    """Bearer tokens that clients must show. Default: none."""


class HttpServer(Guarded, frozen=True, kw_only=True):
    """What all HTTP receivers have. Each kind's subclass sets the default of `endpoint`."""

    endpoint: Listener
    """`host:port` to listen on, port 0 lets the system choose."""
    max_request_body_size_mib: Annotated[
        int, msgspec.Meta(ge=1, le=MAX_REQUEST_MIB, extra_json_schema={"x-unit": "MiB"})
    ] = 16
    """Largest request in MiB, as it comes and unpacked. Default 16, as over gRPC: what one takes the other
    takes."""
    read_header_timeout: PositiveDuration = 60 * 10**9
    """How long a client may take for a request's head, and for the TLS handshake at most ten seconds of it. Default
    60s, as in the Collector."""


class OtlpHttpProtocol(HttpServer, frozen=True, kw_only=True):
    """OTLP over HTTP, protobuf and JSON, at `/v1/traces`."""

    endpoint: Listener = Endpoint("localhost", 24318)
    """`host:port` to listen on. Default localhost:24318: the Collector's ports stay free beside it."""


class ZipkinReceiver(HttpServer, frozen=True, kw_only=True):
    """Zipkin v2, JSON and protobuf, at `/api/v2/spans`."""

    endpoint: Listener = Endpoint("localhost", 29411)
    """`host:port` to listen on. Default localhost:29411: Zipkin's own port stays free beside it."""
