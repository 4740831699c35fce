"""The settings that both programs share."""

import msgspec
import pytest

from hopspan.config import ConfigError, parse_config
from hopspan.settings import Compression, OtlpExporter, TlsClient
from hopspan.values import Endpoint


def test_exporter_has_defaults_but_its_endpoint() -> None:
    """An endpoint is enough: TLS on, no compression, five seconds."""
    assert parse_config("endpoint: collector:4317", OtlpExporter) == OtlpExporter(
        endpoint=Endpoint("collector", 4317),
        tls=TlsClient(insecure=False),
        headers={},
        compression=Compression.NONE,
        timeout=5 * 10**9,
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tls: {cert_file: a}", "tls.key_file: missing (cert_file needs it)"),
        ("tls: {key_file: a}", "tls.cert_file: missing (key_file needs it)"),
        ("tls: {insecure: true, ca_file: a}", "tls.ca_file: has no effect while insecure is true"),
        ("headers: {a b: c}", "headers.a b: is not a header name that can be set"),
        ("headers: {x-bin: c}", "headers.x-bin: is not a header name that can be set"),
        ("headers: {grpc-timeout: 1s}", "headers.grpc-timeout: is not a header name that can be set"),
        ('headers: {token: "secret\\n"}', "headers.token: its value has characters other than printable ASCII"),
        ("compression: zstd", "compression: 'zstd' is not one of none, gzip"),
        ("timeout: 0s", "timeout: must be longer than zero"),
    ],
)
def test_contradictions_are_told_and_values_of_headers_are_not(text: str, fault: str) -> None:
    """A setting that cannot work, or would do nothing, is a fault."""
    with pytest.raises(ConfigError) as caught:
        parse_config("endpoint: a:1\n" + text, OtlpExporter)
    assert caught.value.faults == (fault,)


def test_settings_are_frozen() -> None:
    """A setting cannot be changed once it was read."""
    settings = OtlpExporter(endpoint=Endpoint("a", 1))
    with pytest.raises(AttributeError):
        settings.timeout = 1  # type: ignore[misc]  # that is the point
    assert msgspec.structs.replace(settings, timeout=1).timeout == 1


def test_credentials_are_not_shown() -> None:
    """A token of the configuration is in no text that a log or a traceback could hold."""
    exporter = OtlpExporter(endpoint=Endpoint("plugin", 4317), headers={"authorization": "Bearer s3cret"})
    for text in (repr(exporter), str(exporter), f"{exporter}"):
        assert "s3cret" not in text
        assert "authorization" in text
