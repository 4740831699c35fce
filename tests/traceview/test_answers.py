"""The answers of real backends become the spans that were sent to them.

`golden/answers` holds what Jaeger (its module at v1.76.0) and Zipkin 3.5.1 answered after the checkout of
make_checkout.py was sent to them: to Zipkin as the plugin converts it.
"""

import runpy
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

from traceview.jaeger_json import read_jaeger_error, read_jaeger_v1, read_jaeger_v3
from traceview.otlp_json import read_spans
from traceview.reading import AnswerError, Reading
from traceview.span import Span, SpanKind
from traceview.zipkin_json import read_zipkin_trace, read_zipkin_traces

HERE = Path(__file__).parent
ANSWERS = HERE / "golden" / "answers"
CHECKOUT = runpy.run_path(str(HERE / "make_checkout.py"))
SENT = read_spans(line.encode() for line in CHECKOUT["build_lines"](1))


def read_golden(name: str) -> bytes:
    return (ANSWERS / name).read_bytes()


def sort_spans(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.span_id)


def cut_to_us(span: Span) -> Span:
    """Return the span with its start and duration in whole microseconds, which is all that these formats hold."""
    start_ns, duration_ns = span.start_ns // 1000 * 1000, (span.end_ns - span.start_ns) // 1000 * 1000
    return msgspec.structs.replace(span, start_ns=start_ns, end_ns=start_ns + duration_ns)


def test_jaeger_v3() -> None:
    """The newer API loses nothing."""
    reading = read_jaeger_v3(read_golden("jaeger_v3.json"))
    assert reading.describe() == ()
    assert sort_spans(reading.spans) == sort_spans(SENT)


def test_jaeger_v1() -> None:
    """The older API holds microseconds, and the kind and the scope as tags, which are read back."""
    reading = read_jaeger_v1(read_golden("jaeger_v1.json"))
    assert reading.describe() == ()
    found, expected = sort_spans(reading.spans), sort_spans(map(cut_to_us, SENT))
    for span, sent in zip(found, expected, strict=True):
        tags = {key for key in span.attributes if key not in ("otel.scope.version", "span.kind")}
        assert tags == sent.attributes.keys()
        assert span == msgspec.structs.replace(sent, attributes=span.attributes)
        assert span.duration_ns == sent.duration_ns


def test_zipkin() -> None:
    """Zipkin holds microseconds, names in small letters and texts; hops keep their exact durations."""
    reading = read_zipkin_trace(read_golden("zipkin_v2.json"))
    assert reading.describe() == ()
    for span, sent in zip(sort_spans(reading.spans), sort_spans(map(cut_to_us, SENT)), strict=True):
        assert (span.trace_id, span.parent_id, span.start_ns, span.end_ns) == (
            sent.trace_id,
            sent.parent_id,
            sent.start_ns,
            sent.end_ns,
        )
        assert (span.name, span.kind, span.scope) == (sent.name.lower(), sent.kind, sent.scope)
        assert (span.service, span.node, span.device) == (sent.service, sent.node, sent.device)
        if sent.is_network:
            assert span.duration_ns == sent.duration_ns
            assert span.direction == sent.direction


def test_zipkin_shared() -> None:
    """A client and its server share an id; our attributes are numbers and lists again; what has no time is told."""
    reading = read_zipkin_trace(read_golden("zipkin_v2_shared.json"))
    client, server, query, hop = reading.spans
    assert client.span_id == server.span_id
    assert (client.kind, server.kind, query.kind) == (SpanKind.CLIENT, SpanKind.SERVER, SpanKind.INTERNAL)
    assert [span.failed for span in reading.spans] == [False, False, True, False]
    assert hop.is_network
    assert (hop.duration_ns, hop.attempt, hop.missed, hop.clipped) == (12345, 2, "overlay-egress", True)
    assert "otel.scope.name" not in hop.attributes
    assert reading.unreadable == 1
    assert "'no time' '00f067aa0ba902ba': it has no timestamp" in reading.first_fault


def test_zipkin_search() -> None:
    """A search answers a list of traces."""
    body = b"[" + read_golden("zipkin_v2.json") + b"," + read_golden("zipkin_v2_shared.json") + b"]"
    assert len(read_zipkin_traces(body).spans) == len(SENT) + 4
    assert read_zipkin_traces(b"[]").spans == ()


def test_jaeger_v3_of_other_versions() -> None:
    """Some versions leave the wrapper out, and a gateway that streams sends an object a line."""
    wrapped = read_golden("jaeger_v3.json").strip()
    bare = wrapped.removeprefix(b'{"result":').removesuffix(b"}")
    assert read_jaeger_v3(bare).spans == read_jaeger_v3(wrapped).spans
    assert len(read_jaeger_v3(wrapped + b"\n" + wrapped + b"\n").spans) == 2 * len(SENT)


READERS = {
    "jaeger_v3.json": read_jaeger_v3,
    "jaeger_v1.json": read_jaeger_v1,
    "zipkin_v2.json": read_zipkin_trace,
}


@pytest.mark.parametrize(("name", "read"), READERS.items(), ids=READERS)
def test_every_cut_is_an_error(name: str, read: Callable[[bytes], Reading]) -> None:
    """An answer that was cut anywhere is refused with its documented error."""
    body = read_golden(name).strip()
    for length in [*range(1, len(body), 97), len(body) - 1]:
        with pytest.raises(AnswerError, match="not the JSON expected"):
            read(body[:length])


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html>\n<html>", "it begins '<!DOCTYPE html>\N{REPLACEMENT CHARACTER}<html>'"),
        (b"\x1b[2J\xff\xfe", "it begins '\N{REPLACEMENT CHARACTER}[2J"),
        (b"", "truncated"),
        (b'"text"', "not the JSON expected"),
        (b"[" * 100_000, "it"),
        (b'{"a":' * 100_000, "it"),
        (b'{"data":"' + b":" * 6_000_001 + b'"}', "more than 6000000 values"),
    ],
)
def test_what_is_no_answer(read: Callable[[bytes], Reading], body: bytes, words: str) -> None:
    """Anything else is refused in bounded words that no terminal takes for commands."""
    with pytest.raises(AnswerError) as caught:
        read(body)
    text = str(caught.value)
    assert words in text
    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize(
    ("read", "body", "words"),
    [
        (
            read_jaeger_v3,
            b'{"error":{"httpCode":500,"message":"no \\u001b[31mstorage"}}',
            "it says 'no �[31mstorage'",
        ),
        (read_jaeger_v1, b'{"data":null,"errors":[{"code":500,"msg":"down"}]}', "it says 'down'"),
        (
            read_jaeger_v3,
            (
                b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":{"bytesValue":"%"}}]},'
                b'"scopeSpans":[{"spans":[]}]}]}'
            ),
            "k is not base64",
        ),
    ],
)
def test_answers_that_say_why_not(read: Callable[[bytes], Reading], body: bytes, words: str) -> None:
    """An error inside an answer is told."""
    with pytest.raises(AnswerError) as caught:
        read(body)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"httpCode":404,"message":"No traces found"}}', "No traces found"),
        (b'{"data":null,"total":0,"errors":[{"code":404,"msg":"trace not found"}]}', "trace not found"),
        (b'{"errors":[{}]}', "an error without a text"),
        (b"404 page not found", ""),
        (b"{}", ""),
        (b"[]", ""),
    ],
)
def test_jaeger_errors(body: bytes, expected: str) -> None:
    """What Jaeger says beside an error status, in both APIs; nothing of others."""
    assert read_jaeger_error(body) == expected


JAEGER_SPAN = b'{"traceID":"1","spanID":"2","startTime":5,"operationName":"x"%s}'


@pytest.mark.parametrize(
    ("rest", "parent"),
    [
        (b"", b""),
        (b',"references":null', b""),
        (b',"references":[{"refType":"FOLLOWS_FROM","traceID":"1","spanID":"8"}]', b"\0\0\0\0\0\0\0\x08"),
        (
            (
                b',"references":[{"refType":"FOLLOWS_FROM","traceID":"1","spanID":"8"},'
                b'{"refType":"CHILD_OF","traceID":"1","spanID":"9"}]'
            ),
            b"\0\0\0\0\0\0\0\x09",
        ),
        (b',"references":[{"refType":"CHILD_OF","traceID":"3","spanID":"9"}]', b""),
    ],
)
def test_jaeger_references(rest: bytes, parent: bytes) -> None:
    """A child before a follower, and spans of other traces are no parents; zeros in front may be missing."""
    (span,) = read_jaeger_v1(b'{"data":[{"spans":[' + JAEGER_SPAN % rest + b"]}]}").spans
    assert (span.trace_id, span.span_id, span.parent_id) == (bytes(15) + b"\1", bytes(7) + b"\2", parent)


def test_spans_that_cannot_be_read_are_counted() -> None:
    """One bad span does not take its neighbours with it."""
    good, bad = JAEGER_SPAN % b"", JAEGER_SPAN.replace(b'"2"', b'"\\u001b"') % b""
    reading = read_jaeger_v1(b'{"data":[{"spans":[' + b",".join([bad, good, bad]) + b"]}]}")
    assert len(reading.spans) == 1
    (note,) = reading.describe()
    assert note.startswith("left out, spans that cannot be read: 2; the first: span 'x' '")
    assert note.isprintable()


def test_spans_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """More spans than can be drawn are left out, and that is told."""
    monkeypatch.setattr("traceview.reading.MAX_SPANS", 10)
    reading = read_zipkin_trace(read_golden("zipkin_v2.json"))
    assert reading.spans == read_zipkin_trace(read_golden("zipkin_v2.json")).spans[:10]
    assert reading.describe() == (f"left out, spans beyond the first 10: {len(SENT) - 10}",)
