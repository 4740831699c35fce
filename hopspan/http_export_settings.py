"""The settings of exporters that post to peers over HTTP, as frozen Structs; keys are named like the Collector's.

Pure. The strings under the fields are their documentation: meaning, unit, default and why. Proxies are not read from
the environment, unlike in the Collector: spans go where the configuration says, and nowhere else.
"""

import re
from collections.abc import Iterator

import msgspec

from hopspan.http_url import HttpUrl, Url
from hopspan.settings import (
    DEFAULT_TIMEOUT_NS,
    Compression,
    ExporterAuth,
    TlsClient,
    find_second_authorization,
)
from hopspan.values import PositiveDuration

TRACES_PATH = "/v1/traces"

# RFC 9110: field-name is a token; of field values, what any server takes.
_HEADER_NAME = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]{1,255}", re.ASCII)
_HEADER_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]{0,8190}[\x21-\x7e])?)?")

_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""They frame the message, so another value would make it unreadable."""


class HttpExporterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the exporters have in common."""

    tls: TlsClient = TlsClient()
    """TLS towards a peer whose URL begins with `https`. Without ca_file: the system's authorities."""
    headers: dict[str, str] = {}
    """Headers sent with each request, such as credentials. Names are case-insensitive. Default: none."""
    auth: ExporterAuth | None = None
    """A bearer token from a file, sent as the header `Authorization`. Default: none."""
    compression: Compression = Compression.NONE
    """`none` or `gzip`. Default `none`: inside a cluster the CPU is dearer than the bytes."""
    timeout: PositiveDuration = DEFAULT_TIMEOUT_NS
    """How long one attempt may take, its answer included. Default 5s, as over gRPC: clients wait meanwhile."""

    @property
    def url(self) -> HttpUrl:
        """Return where requests are posted to: each kind says it by keys of its own."""
        raise NotImplementedError  # a Struct cannot be an abstract class, and this one is never made

    def __repr__(self) -> str:
        """Leave out the values of headers: they may be credentials."""
        return f"{type(self).__name__}(url={str(self.url)!r}, headers={sorted(self.headers)})"

    def check_tls(self, key: str, url: HttpUrl) -> Iterator[str]:
        """Yield faults: a scheme that says one thing while `tls` says another. `key` is the URL's."""
        if url.is_secure and self.tls.insecure:
            yield f"tls.insecure: contradicts the https of {key}"
        if not url.is_secure:
            for name in ("ca_file", "cert_file", "key_file"):
                if getattr(self.tls, name) is not None:
                    yield f"tls.{name}: has no effect while {key} begins with http:"

    def check_headers(self) -> Iterator[str]:
        """Yield faults: headers that HTTP would refuse, or that are ours. Their values are never repeated."""
        yield from find_second_authorization(self.auth, self.headers)
        names = [name.lower() for name in self.headers]
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
                yield f"headers.{name}: is not a header name that can be set"
            elif names.count(name.lower()) > 1:
                yield f"headers.{name}: given twice (names are case-insensitive)"
            if not _HEADER_VALUE.fullmatch(value):
                yield f"headers.{name}: its value has characters other than printable ASCII, or spaces at its ends"


class OtlpHttpExporterSettings(HttpExporterSettings, frozen=True, kw_only=True):
    """An OTLP/HTTP peer that requests are sent to; either `endpoint` or `traces_endpoint` is required."""

    endpoint: Url | None = None
    """URL of the peer, such as `http://localhost:4318`; `/v1/traces` is added to it unless it ends so."""
    traces_endpoint: Url | None = None
    """URL that requests are posted to as it is, for peers with another path."""

    @property
    def url(self) -> HttpUrl:
        """Return where requests are posted to."""
        if self.traces_endpoint is not None:
            return self.traces_endpoint
        assert self.endpoint is not None
        path = self.endpoint.path.rstrip("/")
        return msgspec.structs.replace(self.endpoint, path=path.removesuffix(TRACES_PATH) + TRACES_PATH)

    def validate(self) -> Iterator[str]:
        """Yield faults: no URL or two, contradictions with `tls`, and headers that cannot be sent."""
        if self.endpoint is None and self.traces_endpoint is None:
            yield "endpoint: missing"
        elif self.endpoint is not None and self.traces_endpoint is not None:
            yield "traces_endpoint: has endpoint beside it (give one of them)"
        else:
            yield from self.check_tls("endpoint" if self.endpoint is not None else "traces_endpoint", self.url)
        yield from self.check_headers()


class ZipkinExporterSettings(HttpExporterSettings, frozen=True, kw_only=True):
    """A Zipkin server that spans are sent to, as v2 JSON."""

    endpoint: Url
    """URL that spans are posted to, such as `http://localhost:9411/api/v2/spans`. Required."""

    @property
    def url(self) -> HttpUrl:
        """Return where requests are posted to."""
        return self.endpoint

    def validate(self) -> Iterator[str]:
        """Yield faults: a URL without a path, contradictions with `tls`, and headers that cannot be sent."""
        if self.endpoint.path in ("", "/"):
            yield "endpoint: has no path (Zipkin's is /api/v2/spans)"
        yield from self.check_tls("endpoint", self.endpoint)
        yield from self.check_headers()
