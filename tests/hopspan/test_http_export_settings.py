"""The settings of exporters over HTTP."""

import msgspec
import pytest

from hopspan.config import ConfigError, parse_config
from hopspan.http_export_settings import OtlpHttpExporterSettings, ZipkinExporterSettings
from hopspan.settings import Compression, TlsClient

ZIPKIN = "endpoint: http://a:9411/api/v2/spans\n"
OTLP = "endpoint: https://a:4318\n"


def test_exporter_has_defaults_but_its_url() -> None:
    """A URL is enough: no compression, five seconds."""
    settings = parse_config("endpoint: http://localhost:4318", OtlpHttpExporterSettings)
    assert str(settings.url) == "http://localhost:4318/v1/traces"
    assert (settings.tls, settings.headers) == (TlsClient(), {})
    assert (settings.compression, settings.timeout) == (Compression.NONE, 5 * 10**9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("endpoint: http://a:1", "http://a:1/v1/traces"),
        ("endpoint: http://a:1/", "http://a:1/v1/traces"),
        ("endpoint: http://a:1/otlp/", "http://a:1/otlp/v1/traces"),
        ("endpoint: http://a:1/v1/traces", "http://a:1/v1/traces"),
        ("endpoint: http://a:1/v1/traces/", "http://a:1/v1/traces"),
        ("traces_endpoint: http://a:1/", "http://a:1/"),
        ("traces_endpoint: http://a:1/other", "http://a:1/other"),
        ("endpoint: null\ntraces_endpoint: http://a:1", "http://a:1"),
    ],
)
def test_path_of_traces_is_added_as_the_collector_does(text: str, expected: str) -> None:
    """`endpoint` is where the peer is, `traces_endpoint` what is posted to."""
    assert str(parse_config(text, OtlpHttpExporterSettings).url) == expected


def test_zipkin_is_posted_to_as_it_is_written() -> None:
    """Its endpoint is the whole URL, as in the Collector."""
    assert str(parse_config(ZIPKIN, ZipkinExporterSettings).url) == "http://a:9411/api/v2/spans"


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [
        (OtlpHttpExporterSettings, "", "endpoint: missing"),
        (
            OtlpHttpExporterSettings,
            OTLP + "traces_endpoint: http://a:1",
            "traces_endpoint: has endpoint beside it (give one of them)",
        ),
        (
            OtlpHttpExporterSettings,
            "endpoint: a:1",
            "endpoint: 'a:1' is not a URL (such as http://localhost:4318)",
        ),
        (OtlpHttpExporterSettings, OTLP + "tls: {cert_file: a}", "tls.key_file: missing (cert_file needs it)"),
        (OtlpHttpExporterSettings, OTLP + "tls: {insecure: true}", "tls.insecure: contradicts the https of endpoint"),
        (
            OtlpHttpExporterSettings,
            "traces_endpoint: http://a:1\ntls: {ca_file: a}",
            "tls.ca_file: has no effect while traces_endpoint begins with http:",
        ),
        (ZipkinExporterSettings, "", "endpoint: missing"),
        (ZipkinExporterSettings, "endpoint: http://a:9411/", "endpoint: has no path (Zipkin's is /api/v2/spans)"),
        (
            ZipkinExporterSettings,
            ZIPKIN + "traces_endpoint: b",
            "traces_endpoint: unknown key (did you mean endpoint?)",
        ),
        (ZipkinExporterSettings, ZIPKIN + "headers: {a b: c}", "headers.a b: is not a header name that can be set"),
        (
            ZipkinExporterSettings,
            ZIPKIN + "headers: {Content-Length: '1'}",
            "headers.Content-Length: is not a header name that can be set",
        ),
        (
            ZipkinExporterSettings,
            ZIPKIN + 'headers: {token: "secret\\n"}',
            "headers.token: its value has characters other than printable ASCII, or spaces at its ends",
        ),
        (ZipkinExporterSettings, ZIPKIN + "compression: zstd", "compression: 'zstd' is not one of none, gzip"),
        (ZipkinExporterSettings, ZIPKIN + "timeout: 0s", "timeout: must be longer than zero"),
    ],
)
def test_contradictions_are_told_and_values_of_headers_are_not(
    kind: type[msgspec.Struct], text: str, fault: str
) -> None:
    """A setting that cannot work, or would do nothing, is a fault."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, kind)
    assert caught.value.faults == (fault,)


def test_header_in_two_spellings_is_one_too_many() -> None:
    """HTTP knows no difference between them."""
    with pytest.raises(ConfigError) as caught:
        parse_config(ZIPKIN + "headers: {X-A: b, x-a: c}", ZipkinExporterSettings)
    assert caught.value.faults == tuple(
        f"headers.{name}: given twice (names are case-insensitive)" for name in ("X-A", "x-a")
    )


def test_insecure_beside_http_says_the_same() -> None:
    """Whoever comes from gRPC may leave it."""
    settings = parse_config(ZIPKIN + "tls: {insecure: true}", ZipkinExporterSettings)
    assert not settings.url.is_secure


def test_credentials_are_not_shown() -> None:
    """A token of the configuration is in no text that a log or a traceback could hold."""
    text = "headers: {authorization: Bearer s3cret}"
    for settings in (
        parse_config(OTLP + text, OtlpHttpExporterSettings),
        parse_config(ZIPKIN + text, ZipkinExporterSettings),
    ):
        for shown in (repr(settings), str(settings), f"{settings}"):
            assert "s3cret" not in shown
            assert "authorization" in shown
