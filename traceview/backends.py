"""Asks Jaeger and Zipkin for traces, each in its own ways, old and new. Edge: speaks through an HttpGetter.

Jaeger: `/api/v3` (OTLP JSON), of which versions before 2.19 know parameters in snake_case alone; where it is not
there, `/api/traces`. Zipkin: `/api/v2`.
"""

import enum
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec

from traceview.http_get import Answer, BackendError, HttpGetter
from traceview.ids import is_same_trace, is_short
from traceview.jaeger_json import read_jaeger_error, read_jaeger_v1, read_jaeger_v3
from traceview.reading import AnswerError, Reading
from traceview.text import make_visible
from traceview.zipkin_json import read_zipkin_trace, read_zipkin_traces


class Kind(enum.StrEnum):
    """Which backend it is."""

    JAEGER = "jaeger"
    ZIPKIN = "zipkin"


DEFAULT_URLS = {Kind.JAEGER: "http://localhost:16686", Kind.ZIPKIN: "http://localhost:9411"}

MISSING_API = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""What servers say of a path that they do not have."""


OLD_NAME = b"query.start_time_min"
"""What Jaeger before 2.19 calls a parameter that each search must have."""


class NoTraceError(BackendError):
    """The backend answered, and has no such trace."""


class Search(msgspec.Struct, frozen=True):
    """Which traces: those of a service that began in [start_ns, end_ns), at most `limit`."""

    service: str
    start_ns: int
    end_ns: int
    limit: int


def fetch_trace(getter: HttpGetter, kind: Kind, trace_id: bytes) -> Reading:
    """Return what the backend has of one trace. Raises NoTraceError where that is nothing, BackendError."""
    if kind is Kind.ZIPKIN:
        return _fetch_from_zipkin(getter, trace_id)
    targets = f"/api/v3/traces/{trace_id.hex()}", f"/api/traces/{trace_id.hex()}"
    reading = _ask_jaeger(getter, (targets[0],), targets[1])
    return _require_trace(getter, reading, trace_id)


def find_traces(getter: HttpGetter, kind: Kind, search: Search) -> Reading:
    """Return the spans of the traces that the backend found, none where it found none. Raises BackendError."""
    if kind is Kind.ZIPKIN:
        target = f"/api/v2/traces?{urlencode(_write_zipkin_search(search))}"
        return _read_answer(getter, target, getter.get(target), read_zipkin_traces)
    new = _write_v3_search(search)
    old = {f"query.{_write_snake_case(name)}": value for name, value in new.items()}
    # What search_depth was called before that.
    old["query.num_traces"] = new["searchDepth"]
    targets = [f"/api/v3/traces?{urlencode({f'query.{name}': value for name, value in new.items()})}"]
    targets.append(f"/api/v3/traces?{urlencode(old)}")
    return _ask_jaeger(getter, tuple(targets), f"/api/traces?{urlencode(_write_v1_search(search))}")


def _fetch_from_zipkin(getter: HttpGetter, trace_id: bytes) -> Reading:
    digits = trace_id.hex()
    # A trace id of 64 bits may have been stored with 16 digits or with 32, and is found by what it was stored with.
    for form in (digits[16:], digits) if is_short(trace_id) else (digits,):
        target = f"/api/v2/trace/{form}"
        answer = getter.get(target)
        # Zipkin says so in words that name the id; another server's 404 means that it is not Zipkin.
        if answer.status == HTTPStatus.NOT_FOUND and answer.body.strip() == f"{form} not found".encode():
            continue
        reading = _read_answer(getter, target, answer, read_zipkin_trace)
        return _require_trace(getter, reading, trace_id)
    return _require_trace(getter, Reading(()), trace_id)


def _ask_jaeger(getter: HttpGetter, targets: tuple[str, ...], older: str) -> Reading:
    """Return what the first of `targets` that is understood answers, else what the older API does."""
    found = _ask_v3(getter, targets)
    if isinstance(found, Reading):
        return found
    answer = getter.get(older)
    if _says_nothing_found(answer):
        return Reading(())
    try:
        return _read_answer(getter, older, answer, read_jaeger_v1)
    except BackendError as error:
        raise BackendError(f"{error}{found}") from error


def _ask_v3(getter: HttpGetter, targets: tuple[str, ...]) -> Reading | str:
    """Return the reading, or why the older API must be asked, "" where this one is not there."""
    for target in targets:
        answer = getter.get(target)
        # Whoever misses a parameter by its older name does not know the newer ones.
        if answer.status != HTTPStatus.BAD_REQUEST or OLD_NAME not in answer.body:
            break
    if _says_nothing_found(answer):
        return Reading(())
    if answer.status in MISSING_API:
        return ""
    if answer.status != HTTPStatus.OK:
        raise _refuse(getter, target, answer)
    try:
        reading = read_jaeger_v3(answer.body)
    except AnswerError as error:
        # Of paths that it does not know, an older Jaeger sends its page.
        return f"; {_name_path(target)}: {error}"
    return reading if reading.spans or not reading.unreadable else f"; {_name_path(target)}: {reading.describe()[0]}"


def _says_nothing_found(answer: Answer) -> bool:
    """Tell a backend without such a trace from a server without such a path."""
    return answer.status == HTTPStatus.NOT_FOUND and read_jaeger_error(answer.body) != ""


def _read_answer(getter: HttpGetter, target: str, answer: Answer, read: Callable[[bytes], Reading]) -> Reading:
    if answer.status != HTTPStatus.OK:
        raise _refuse(getter, target, answer)
    try:
        return read(answer.body)
    except AnswerError as error:
        raise BackendError(f"{getter.backend.url}{_name_path(target)}: its answer cannot be read: {error}") from error


def _refuse(getter: HttpGetter, target: str, answer: Answer) -> BackendError:
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    text = read_jaeger_error(answer.body) or answer.body.decode("utf-8", "replace")
    said = f": {getter.show(text)}" if text.strip() else ""
    advice = ""
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        advice = f" (it leads to {getter.show(answer.location)!r}; redirects are not followed)"
    elif answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        advice = " (credentials are given by --header)"
    elif answer.status in MISSING_API:
        advice = " (is this the address that the backend is asked at?)"
    path = _name_path(target)
    return BackendError(f"{getter.backend.url}{path} answers {answer.status}{phrase}{advice}{said}")


def _name_path(target: str) -> str:
    return make_visible(target.partition("?")[0])


def _require_trace(getter: HttpGetter, reading: Reading, trace_id: bytes) -> Reading:
    """Return the spans of the trace under its id as it was asked for; those of other traces are not its."""
    if not reading.spans and not reading.unreadable:
        raise NoTraceError(f"{getter.backend.url}: it has no trace {trace_id.hex()}")
    found = [span for span in reading.spans if is_same_trace(span.trace_id, trace_id)]
    if not found:
        others = f"{len(reading.spans)} spans of other traces" if reading.spans else reading.describe()[0]
        raise BackendError(f"{getter.backend.url}: asked for trace {trace_id.hex()}, it answers {others}")
    spans = tuple(msgspec.structs.replace(span, trace_id=trace_id) for span in found)
    return msgspec.structs.replace(reading, spans=spans, foreign=len(reading.spans) - len(spans))


def _write_zipkin_search(search: Search) -> dict[str, str]:
    """Return parameters in milliseconds; the end is rounded up, for a trace just then must not be lost."""
    end_ms = -(-search.end_ns // 10**6)
    lookback_ms = max(1, end_ms - search.start_ns // 10**6)
    return {
        "serviceName": search.service.lower(),
        "endTs": str(end_ms),
        "lookback": str(lookback_ms),
        "limit": str(search.limit),
    }


def _write_v3_search(search: Search) -> dict[str, str]:
    return {
        "serviceName": search.service,
        "startTimeMin": _write_time(search.start_ns),
        "startTimeMax": _write_time(search.end_ns),
        "searchDepth": str(search.limit),
    }


def _write_v1_search(search: Search) -> dict[str, str]:
    return {
        "service": search.service,
        "start": str(search.start_ns // 1000),
        "end": str(search.end_ns // 1000),
        "limit": str(search.limit),
    }


def _write_time(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def _write_snake_case(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
