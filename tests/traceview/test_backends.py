"""What Jaeger and Zipkin are asked, in which order, and what is made of each way not to answer."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.traceview.fake_backend import Behaviour, FakeBackend, make_answer
from traceview.backends import Kind, NoTraceError, Search, fetch_trace, find_traces
from traceview.http_get import Backend, BackendError, HttpGetter
from traceview.reading import Reading

ANSWERS = Path(__file__).parent / "golden" / "answers"
TRACE_ID = bytes.fromhex("7c8f9710a684954c62a7941fd4a10321")
HEX = TRACE_ID.hex()
SHORT_ID = bytes.fromhex("0000000000000000a3ce929d0e0e4736")
V3 = f"/api/v3/traces/{HEX}"
V1 = f"/api/traces/{HEX}"
ZIPKIN = f"/api/v2/trace/{HEX}"
NOT_FOUND_V3 = make_answer(404, b'{"error":{"httpCode":404,"message":"No traces found"}}')
NOT_FOUND_V1 = make_answer(404, b'{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}')
PAGE = make_answer(200, b"<!DOCTYPE html>")
SEARCH = Search("Cart & Co", 1_790_000_000_123_456_789, 1_790_000_060_000_000_001, 7)


def read_golden(name: str) -> bytes:
    return make_answer(200, (ANSWERS / name).read_bytes())


Answers = Mapping[str, bytes | Behaviour]


def fetch(kind: Kind, answers: Answers, trace_id: bytes = TRACE_ID) -> tuple[Reading, list[str]]:
    with FakeBackend(answers) as backend:
        return fetch_trace(HttpGetter(Backend(url=backend.url)), kind, trace_id), backend.targets


@pytest.mark.parametrize(
    ("kind", "answers", "asked"),
    [
        (Kind.JAEGER, {V3: read_golden("jaeger_v3.json")}, [V3]),
        (Kind.JAEGER, {V1: read_golden("jaeger_v1.json")}, [V3, V1]),
        (Kind.JAEGER, {V3: PAGE, V1: read_golden("jaeger_v1.json")}, [V3, V1]),
        (Kind.JAEGER, {V3: make_answer(501, b""), V1: read_golden("jaeger_v1.json")}, [V3, V1]),
        (
            Kind.JAEGER,
            {
                V3: make_answer(
                    200, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"fI+XEKaElUw=","spanId":""}]}]}]}'
                ),
                V1: read_golden("jaeger_v1.json"),
            },
            [V3, V1],
        ),
        (Kind.ZIPKIN, {ZIPKIN: read_golden("zipkin_v2.json")}, [ZIPKIN]),
    ],
    ids=["v3", "no-v3", "page-for-v3", "v3-not-implemented", "v3-with-ids-of-its-own", "zipkin"],
)
def test_fetch(kind: Kind, answers: Answers, asked: list[str]) -> None:
    """Jaeger's newer API first; the older one where the newer is not there or is not understood."""
    reading, targets = fetch(kind, answers)
    assert targets == asked
    assert len(reading.spans) == 35
    assert reading.describe() == ()


def test_short_ids() -> None:
    """Zipkin finds a trace by the digits that it was stored with, 16 or 32; Jaeger has 32 always."""
    golden = read_golden("zipkin_v2_shared.json")
    short, long = (f"/api/v2/trace/{digits}" for digits in (SHORT_ID.hex()[16:], SHORT_ID.hex()))
    missing = make_answer(404, f"{SHORT_ID.hex()[16:]} not found".encode())
    assert fetch(Kind.ZIPKIN, {short: golden}, SHORT_ID)[1] == [short]
    reading, targets = fetch(Kind.ZIPKIN, {short: missing, long: golden}, SHORT_ID)
    assert targets == [short, long]
    assert {span.trace_id for span in reading.spans} == {SHORT_ID}


def test_a_trace_has_the_id_that_was_asked_for() -> None:
    """Spans under the 64 bits of an id of 128 are the trace's, as Zipkin has it; others are left out, and counted."""
    span = b'{"traceId":"%s","id":"%d","timestamp":1}'
    spans = [span % (HEX.encode(), 1), span % (HEX[16:].encode(), 2), span % (b"f" * 32, 3)]
    reading, _ = fetch(Kind.ZIPKIN, {ZIPKIN: make_answer(200, b"[" + b",".join(spans) + b"]")})
    assert [found.trace_id for found in reading.spans] == [TRACE_ID, TRACE_ID]
    assert reading.describe() == ("left out, spans of other traces: 1",)


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (Kind.JAEGER, {V3: NOT_FOUND_V3}),
        (Kind.JAEGER, {V1: NOT_FOUND_V1}),
        (Kind.JAEGER, {V3: make_answer(200, b'{"result":{"resourceSpans":[]}}')}),
        (Kind.ZIPKIN, {ZIPKIN: make_answer(404, f"{HEX} not found".encode())}),
        (Kind.ZIPKIN, {ZIPKIN: make_answer(200, b"[]")}),
    ],
)
def test_no_such_trace(kind: Kind, answers: Answers) -> None:
    """A backend that works and has no such trace is told from one that does not work."""
    with pytest.raises(NoTraceError, match=f"^http://127.0.0.1:.*: it has no trace {HEX}$"):
        fetch(kind, answers)


@pytest.mark.parametrize(
    ("kind", "answers", "words"),
    [
        (Kind.JAEGER, {}, f"{V1} answers 404 Not Found (is this the address that the backend is asked at?)"),
        (Kind.JAEGER, {V3: PAGE, V1: PAGE}, f"; {V3}: it is not the JSON expected"),
        (
            Kind.JAEGER,
            {V3: make_answer(500, b"\x1b[31mno storage")},
            "500 Internal Server Error: \ufffd[31mno storage",
        ),
        (Kind.JAEGER, {V3: make_answer(400, b'{"error":{"message":"bad id"}}')}, "400 Bad Request: bad id"),
        (Kind.JAEGER, {V3: make_answer(401, b"")}, "401 Unauthorized (credentials are given by --header)"),
        (
            Kind.JAEGER,
            {V3: make_answer(302, b"", "Location: https://login/\x1b31m")},
            "302 Found (it leads to 'https://login/\ufffd31m'; redirects are not followed)",
        ),
        (Kind.JAEGER, {V3: make_answer(799, b"?")}, "answers 799: ?"),
        (Kind.ZIPKIN, {}, f"{ZIPKIN} answers 404 Not Found (is this the address"),
        (Kind.ZIPKIN, {ZIPKIN: PAGE}, f"{ZIPKIN}: its answer cannot be read: it is not the JSON expected"),
        (Kind.ZIPKIN, {ZIPKIN: read_golden("zipkin_v2_shared.json")}, "it answers 4 spans of other traces"),
        (
            Kind.ZIPKIN,
            {ZIPKIN: make_answer(200, b'[{"traceId":"1","id":"2"}]')},
            "it answers left out, spans that cannot be read: 1",
        ),
    ],
)
def test_no_usable_answer(kind: Kind, answers: Answers, words: str) -> None:
    """The error names the address and the path, says what came, and what to do where that is known."""
    with pytest.raises(BackendError, match=r"^http://127\.0\.0\.1:") as caught:
        fetch(kind, answers)
    assert not isinstance(caught.value, NoTraceError)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def find(kind: Kind, answers: Answers) -> tuple[Reading, list[str]]:
    with FakeBackend(answers) as backend:
        return find_traces(HttpGetter(Backend(url=backend.url)), kind, SEARCH), backend.targets


NEW_QUERY = (
    "/api/v3/traces?query.serviceName=Cart+%26+Co&query.startTimeMin=2026-09-21T14%3A13%3A20.123456789Z"
    "&query.startTimeMax=2026-09-21T14%3A14%3A20.000000001Z&query.searchDepth=7"
)
OLD_QUERY = (
    "/api/v3/traces?query.service_name=Cart+%26+Co&query.start_time_min=2026-09-21T14%3A13%3A20.123456789Z"
    "&query.start_time_max=2026-09-21T14%3A14%3A20.000000001Z&query.search_depth=7&query.num_traces=7"
)
V1_QUERY = "/api/traces?service=Cart+%26+Co&start=1790000000123456&end=1790000060000000&limit=7"
ZIPKIN_QUERY = "/api/v2/traces?serviceName=cart+%26+co&endTs=1790000060001&lookback=59878&limit=7"
REFUSAL = make_answer(400, b'{"error":{"httpCode":400,"message":"query.start_time_min is required"}}')


@pytest.mark.parametrize(
    ("kind", "answers", "asked"),
    [
        (Kind.JAEGER, {NEW_QUERY: read_golden("jaeger_v3.json")}, [NEW_QUERY]),
        (Kind.JAEGER, {NEW_QUERY: REFUSAL, OLD_QUERY: read_golden("jaeger_v3.json")}, [NEW_QUERY, OLD_QUERY]),
        (Kind.JAEGER, {V1_QUERY: read_golden("jaeger_v1.json")}, [NEW_QUERY, V1_QUERY]),
        (
            Kind.ZIPKIN,
            {ZIPKIN_QUERY: make_answer(200, b"[" + (ANSWERS / "zipkin_v2.json").read_bytes() + b"]")},
            [ZIPKIN_QUERY],
        ),
    ],
    ids=["jaeger", "older-names", "older-api", "zipkin"],
)
def test_find(kind: Kind, answers: Answers, asked: list[str]) -> None:
    """A search has service, time range and limit, in each backend's own names and units."""
    reading, targets = find(kind, answers)
    assert targets == asked
    assert len(reading.spans) == 35


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (Kind.JAEGER, {NEW_QUERY: NOT_FOUND_V3}),
        (Kind.JAEGER, {V1_QUERY: make_answer(200, b'{"data":[]}')}),
        (Kind.ZIPKIN, {ZIPKIN_QUERY: make_answer(200, b"[]")}),
    ],
)
def test_nothing_found(kind: Kind, answers: Answers) -> None:
    """No traces in a time are no error."""
    assert find(kind, answers)[0] == Reading(())


def test_a_refused_search() -> None:
    """The other names are tried only where the first are not known; what is told is the last refusal."""
    with pytest.raises(BackendError, match=r"400 Bad Request: query\.start_time_min is required"):
        find(Kind.JAEGER, {"/api/v3/traces": REFUSAL})
    too_deep = make_answer(400, b'{"error":{"httpCode":400,"message":"search depth is too large"}}')
    with pytest.raises(BackendError, match="400 Bad Request: search depth is too large"):
        find(Kind.JAEGER, {NEW_QUERY: too_deep, OLD_QUERY: read_golden("jaeger_v3.json")})
