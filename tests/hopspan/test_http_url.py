"""URLs in the configuration: what is one, and what is said of what is not."""

import re

import pytest

from hopspan.http_url import MAX_URL_CHARACTERS, HttpUrl, read_http_url
from hopspan.values import Endpoint

PASSWORD = "s3cret-word"  # noqa: S105 - opens nothing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://localhost:4318", HttpUrl("http", Endpoint("localhost", 4318))),
        ("HTTPS://Collector.example/", HttpUrl("https", Endpoint("Collector.example", 443), "/")),
        ("http://10.0.0.1", HttpUrl("http", Endpoint("10.0.0.1", 80))),
        ("http://[::1]:9411/api/v2/spans", HttpUrl("http", Endpoint("::1", 9411), "/api/v2/spans")),
        ("https://[fd00::1]/x", HttpUrl("https", Endpoint("fd00::1", 443), "/x")),
        ("http://a:1/a%20b;c=d/@e", HttpUrl("http", Endpoint("a", 1), "/a%20b;c=d/@e")),
    ],
)
def test_url_is_read(text: str, expected: HttpUrl) -> None:
    """Scheme, host, port or the scheme's own, path."""
    assert read_http_url(text) == expected
    assert read_http_url(str(expected)) == expected
    assert expected.is_secure == (expected.scheme == "https")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost:4318", "'localhost:4318' is not a URL (such as http://localhost:4318)"),
        ("", "is not a URL (such as http://localhost:4318)"),
        ("http:/localhost", "'http:/localhost' is not a URL (such as http://localhost:4318)"),
        ("http://a/" + "b" * MAX_URL_CHARACTERS, "is not a URL (such as http://localhost:4318)"),
        ("grpc://localhost:4317", "'grpc' is neither http nor https"),
        (f"http://me:{PASSWORD}@a:1", "has a user or password (credentials belong in headers)"),
        (f"http://a:1?token={PASSWORD}", "has a query or fragment (credentials belong in headers)"),
        (f"http://a:1/#{PASSWORD}", "has a query or fragment (credentials belong in headers)"),
        (f"me:{PASSWORD}@a:1", "is not a URL (such as http://localhost:4318)"),
        ("http://", "'http://' is not a URL (such as http://localhost:4318)"),
        ("http://:80", "':80' is not host:port"),
        ("http://a:0", "port 0 cannot be connected to"),
        ("http://a:65536", "'a:65536' is not host:port"),
        ("http://a:port", "'a:port' is not host:port"),
        ("http://[::g]:1", "'[::g]' is not an IPv6 address"),
        ("http://a b:1", "'a b:1' is not host:port"),
        ("http://a:1/b c", "has a path with characters that must be percent-encoded"),
        ("http://a:1/b\r\nHost: c", "has a path with characters that must be percent-encoded"),
        ("http://a:1/%2", "has a path with characters that must be percent-encoded"),
        ("http://a:1/ä", "has a path with characters that must be percent-encoded"),
    ],
)
def test_what_is_no_url_is_told(text: str, reason: str) -> None:
    """The reason says what to write instead; a password is never repeated."""
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        read_http_url(text)
    assert str(caught.value) == reason
    assert PASSWORD not in repr(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("http://a", "a"), ("http://a:443", "a:443"), ("https://[::1]:443/b", "[::1]"), ("https://a:80", "a:80")],
)
def test_host_header_has_no_port_that_the_scheme_says(text: str, expected: str) -> None:
    """Servers compare it with their names."""
    assert read_http_url(text).host_header == expected
