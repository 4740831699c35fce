"""The settings of the HTTP receivers, read from YAML: defaults, names, and what is refused."""

import pytest

from collector_plugin.http_settings import OtlpHttpProtocol, ZipkinReceiver
from hopspan.config import ConfigError, parse_config
from hopspan.values import Endpoint


def test_defaults_are_safe() -> None:
    """On localhost, and with limits."""
    otlp, zipkin = parse_config("", OtlpHttpProtocol), parse_config("", ZipkinReceiver)
    assert (otlp.endpoint, zipkin.endpoint) == (Endpoint("localhost", 24318), Endpoint("localhost", 29411))
    for settings in (otlp, zipkin):
        assert settings.max_request_body_size_mib == 16
        assert settings.read_header_timeout == 60 * 10**9
        assert (settings.tls, settings.auth) == (None, None)


def test_everything_can_be_set() -> None:
    """By the Collector's names where it has them."""
    text = """
        endpoint: 0.0.0.0:4318
        max_request_body_size_mib: 4
        read_header_timeout: 5s
        tls: {cert_file: c, key_file: k, client_ca_file: a}
        auth: {tokens: [one, two]}
    """
    settings = parse_config(text, OtlpHttpProtocol)
    assert settings.endpoint == Endpoint("0.0.0.0", 4318)  # noqa: S104 - a setting, nothing listens
    assert settings.read_header_timeout == 5 * 10**9
    assert settings.tls is not None
    assert settings.tls.client_ca_file == "a"
    assert settings.auth is not None
    assert settings.auth.tokens == ("one", "two")


def test_all_faults_are_told_at_once() -> None:
    """Each by its key; no token is told."""
    text = """
        endpoint: http://localhost:4318
        max_request_body_size_mib: 0
        read_header_timeout: 0
        tls: {cert_file: c}
        auth: {tokens: [two words]}
        cors: {}
    """
    with pytest.raises(ConfigError) as caught:
        parse_config(text, OtlpHttpProtocol)
    assert [fault.partition(": ")[0] for fault in caught.value.faults] == [
        "endpoint",
        "max_request_body_size_mib",
        "read_header_timeout",
        "tls.key_file",
        "auth.tokens[0]",
        "cors",
    ]
    assert "two words" not in str(caught.value)
