"""What an HTTP answer means for an export: delivered, worth another attempt and when, or refused for good.

Pure. The rules are OTLP's (https://opentelemetry.io/docs/specs/otlp/#failures-1), which suit Zipkin as well.
"""

import email.utils
import re

import msgspec

from hopspan.export_errors import ExportError, PermanentExportError, RetryableExportError

MAX_DATE_CHARACTERS = 64
"""The longest form of RFC 9110 has 33."""

_RETRYABLE = frozenset({429, 502, 503, 504})

# As the Collector maps them; none of these codes is one that OTLP retries.
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    405: "UNIMPLEMENTED",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
}

_SECONDS = re.compile(r"\d{1,10}", re.ASCII)


class HttpAnswer(msgspec.Struct, frozen=True):
    """A peer's answer."""

    status: int
    content_type: str = ""
    """The media type in lower case, without parameters."""
    body: bytes = b""
    """As far as it came; the status counts without it."""
    retry_after: str | None = None
    date: str | None = None
    """These headers as they came."""

    @property
    def is_success(self) -> bool:
        """Tell whether the request was delivered."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3


def make_error(answer: HttpAnswer, text: str, now_ns: int, retry_after_ns: int | None = None) -> ExportError:
    """Return the error of an answer that is no success; `text` is what the peer says, `now_ns` the epoch's time.

    `retry_after_ns` is what the body asks for; the header Retry-After goes before it.
    """
    message = f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"
    if answer.status in _RETRYABLE:
        asked_ns = read_retry_after_ns(answer, now_ns)
        # UNAVAILABLE for 429 as well: it may be passed on, and OTLP's clients do not retry RESOURCE_EXHAUSTED.
        return RetryableExportError("UNAVAILABLE", message, retry_after_ns if asked_ns is None else asked_ns)
    if 300 <= answer.status < 400:  # noqa: PLR2004 - RFC 9110, 15.4
        message += " (redirects are not followed: spans go where the configuration says)"
    return PermanentExportError(_CODES.get(answer.status, "UNKNOWN"), message)


def read_retry_after_ns(answer: HttpAnswer, now_ns: int) -> int | None:
    """Return the wait of Retry-After, seconds or a date (RFC 9110, 10.2.3), None where there is none to be read.

    A date is seen from the peer's own Date where it has one, for two clocks seldom agree; a past one is no wait.
    """
    if answer.retry_after is None:
        return None
    if _SECONDS.fullmatch(answer.retry_after.strip()):
        return int(answer.retry_after) * 10**9
    until_ns = _read_date_ns(answer.retry_after)
    if until_ns is None:
        return None
    peer_ns = _read_date_ns(answer.date or "")
    return max(0, until_ns - (now_ns if peer_ns is None else peer_ns))


def _read_date_ns(text: str) -> int | None:
    if len(text) > MAX_DATE_CHARACTERS:
        return None
    try:
        parsed = email.utils.parsedate_tz(text)
        # asctime's form names no zone, and means UTC (RFC 9110, 5.6.7).
        return None if parsed is None else email.utils.mktime_tz((*parsed[:9], parsed[9] or 0)) * 10**9
    except (ValueError, OverflowError, TypeError, IndexError):
        # A date that the calendar does not have.
        return None
