"""What an HTTP answer means: a table of statuses, and the waits that peers ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopspan.export_errors import PermanentExportError, RetryableExportError
from hopspan.http_answer import HttpAnswer, make_error, read_retry_after_ns

NOW_NS = 784_111_777 * 10**9
"""Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples."""

RETRYABLE = (429, 502, 503, 504)


@pytest.mark.parametrize("status", [100, 101, *range(300, 600)])
def test_four_statuses_are_worth_another_attempt(status: int) -> None:
    """OTLP names them, and says that no other is."""
    error = make_error(HttpAnswer(status, retry_after="7"), "because", NOW_NS)
    assert error.message.startswith(f"HTTP {status}: because")
    if status in RETRYABLE:
        assert isinstance(error, RetryableExportError)
        assert (error.code, error.retry_after_ns) == ("UNAVAILABLE", 7 * 10**9)
    else:
        assert isinstance(error, PermanentExportError)
        assert error.code not in {
            "CANCELLED",
            "DEADLINE_EXCEEDED",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNAVAILABLE",
            "DATA_LOSS",
        }


@pytest.mark.parametrize("status", range(200, 300))
def test_success_is_any_of_2xx(status: int) -> None:
    """Zipkin answers 202, others 204."""
    assert HttpAnswer(status).is_success


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (413, "RESOURCE_EXHAUSTED"),
        (418, "UNKNOWN"),
    ],
)
def test_code_says_why(status: int, code: str) -> None:
    """Clients over gRPC are told by their own codes."""
    assert make_error(HttpAnswer(status), "", NOW_NS).code == code


def test_redirect_says_why_it_is_an_error() -> None:
    """Whoever reads it knows what to configure."""
    assert "redirects are not followed" in make_error(HttpAnswer(308), "", NOW_NS).message


@pytest.mark.parametrize(
    ("retry_after", "date", "expected_ns"),
    [
        (None, None, None),
        ("0", None, 0),
        ("120", None, 120 * 10**9),
        (" 5 ", None, 5 * 10**9),
        ("-1", None, None),
        ("1.5", None, None),
        ("1" * 11, None, None),
        ("٣", None, None),
        ("soon", None, None),
        ("5, 7", None, None),
        ("Sun, 06 Nov 1994 08:50:37 GMT", None, 60 * 10**9),
        ("Sunday, 06-Nov-94 08:50:37 GMT", None, 60 * 10**9),
        ("Sun Nov  6 08:50:37 1994", None, 60 * 10**9),
        ("Sun, 06 Nov 1994 08:49:36 GMT", None, 0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT", 30 * 10**9),
        ("Sun, 06 Nov 1994 08:50:37 GMT", "yesterday", 60 * 10**9),
        ("Sun, 99 Foo 1994 08:50:37 GMT", None, None),
        ("Sun, 06 Nov 99999 08:50:37 GMT", None, None),
        ("Sun, 06 Nov 1994 08:50:37 GMT" + " " * 64, None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(retry_after: str | None, date: str | None, expected_ns: int | None) -> None:
    """A date is measured from the peer's own clock where it tells it; what cannot be read is no wish."""
    answer = HttpAnswer(503, retry_after=retry_after, date=date)
    assert read_retry_after_ns(answer, NOW_NS) == expected_ns


@given(st.text(max_size=70), st.text(max_size=70))
def test_any_header_has_a_meaning(retry_after: str, date: str) -> None:
    """No text of a peer is more than a wish."""
    wish_ns = read_retry_after_ns(HttpAnswer(503, retry_after=retry_after, date=date), NOW_NS)
    assert wish_ns is None or wish_ns >= 0


def test_header_goes_before_the_body() -> None:
    """Retry-After is what OTLP over HTTP asks for; a RetryInfo in the body is a second best."""
    for retry_after, expected_ns in (("2", 2 * 10**9), (None, 5), ("soon", 5)):
        error = make_error(HttpAnswer(503, retry_after=retry_after), "", NOW_NS, 5)
        assert isinstance(error, RetryableExportError)
        assert error.retry_after_ns == expected_ns
