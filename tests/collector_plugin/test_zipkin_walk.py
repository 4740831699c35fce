"""The walk over Zipkin's JSON: who can be a parent, what is passed on all the same, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_plugin import otlp_walk
from collector_plugin.otlp_walk import TooManySpansError
from collector_plugin.service_name import UNKNOWN_SERVICE, read_service_name
from collector_plugin.span_walk import SPAN_KIND_CLIENT
from collector_plugin.zipkin_spans import map_span
from collector_plugin.zipkin_walk import KINDS, ZipkinWalk, walk_zipkin
from hopspan.protowire import WireError
from tests.collector_plugin.builders import address
from tests.collector_plugin.mutations import answers_or_refuses, mutate
from tests.collector_plugin.test_zipkin_spans import SPAN
from tests.collector_plugin.zipkin_arrays import END_NS, ID, SPANS, START_NS, TRACE, make

KEY = bytes.fromhex(TRACE + ID)


def walk(*spans: Any) -> ZipkinWalk:
    return walk_zipkin(json.dumps(spans).encode())


def list_keys(walked: ZipkinWalk) -> list[bytes]:
    return [span[0] for group in walked.application for span in group.spans]


def test_client_is_a_parent_on_its_services_resource() -> None:
    """Ids are bytes, times nanoseconds, the kind OTLP's; the resource is fit for an OTLP request."""
    walked = walk(make())
    (group,) = walked.application
    assert (walked.span_count, list(group.spans), group.peers) == (1, [(KEY, SPAN_KIND_CLIENT, START_NS, END_NS)], {})
    assert read_service_name(group.resource) == "Frontend"


def test_spans_are_grouped_by_service() -> None:
    """One resource for all spans of a service; a span that names none has an empty one."""
    spans = [make(), make(localEndpoint={"serviceName": "cart"}), make(id="2"), make(id="3", localEndpoint=None)]
    walked = walk(*spans)
    names = [(read_service_name(group.resource), len(group.spans)) for group in walked.application]
    assert names == [("Frontend", 2), ("cart", 1), (UNKNOWN_SERVICE, 1)]
    assert walked.application[2].resource == b""


@pytest.mark.parametrize(
    ("trace_id", "span_id", "key"),
    [
        ("8448eb211c80319c", ID, "0" * 16 + "8448eb211c80319c" + ID),
        ("1", "a", "0" * 31 + "1" + "0" * 15 + "a"),
        ("48eb211c80319c" * 2, ID, "0000" + "48eb211c80319c" * 2 + ID),
        (TRACE.upper(), ID.upper(), TRACE + ID),
    ],
)
def test_ids_of_any_lawful_width_are_padded(trace_id: str, span_id: str, key: str) -> None:
    """A trace id of 64 bits has zeros to the left, as the join compares it; capitals are taken too."""
    assert list_keys(walk(make(traceId=trace_id, id=span_id))) == [bytes.fromhex(key)]


@pytest.mark.parametrize(
    "ids",
    [
        {"traceId": ""}, {"traceId": "0" * 32}, {"traceId": "0"}, {"traceId": "1" * 33}, {"traceId": "1" * 34},
        {"traceId": "x" * 32}, {"traceId": " " + "1" * 31}, {"traceId": "1" * 30 + "é"}, {"traceId": 7},
        {"traceId": None}, {"id": None}, {"id": ""}, {"id": "0" * 16}, {"id": "1" * 17}, {"id": "0x12"},
        {"traceId": "1" * 30, "id": "1" * 18}, {"id": "1 2"}, {"id": []},
    ],
    ids=str,
)  # fmt: skip
def test_ids_that_no_server_takes_are_refused(ids: dict[str, Any]) -> None:
    """The error names the span and the field, and not what it held."""
    with pytest.raises(WireError, match=r"\$\[1\]|missing required field") as caught:
        walk(make(), make(**ids))
    assert "x" * 32 not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": None}, {"duration": None}, {"timestamp": 0}, {"duration": 0}, {"timestamp": -5},
        {"duration": -5}, {"timestamp": 2**64}, {"timestamp": 2**64 // 1000, "duration": 2**62},
        {"kind": "SERVER", "shared": True}, {"kind": None, "shared": True},
        {"tags": {"otel.scope.name": "hopspan"}},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_a_parent_is_passed_on(fields: dict[str, Any]) -> None:
    """Without times there is nothing to be in; a shared id is the client's; and our own spans are no input."""
    walked = walk(make(**fields), make(id="2"))
    assert walked.span_count == 2
    assert list_keys(walked) == [bytes.fromhex(TRACE + "2".zfill(16))]


def test_own_network_spans_are_known_again() -> None:
    """What the exporter writes and somebody sends back is no parent: no loop can arise."""
    walked = walk(map_span(SPAN, "frontend", "1"))
    assert (walked.span_count, walked.application) == (1, [])


def test_shared_on_a_client_means_nothing() -> None:
    """A server takes the mark off a client, whose id is its own."""
    assert list_keys(walk(make(shared=True))) == [KEY]
    assert list_keys(walk(make(kind="SERVER", shared=False))) == [KEY]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"timestamp": str(START_NS // 1000), "duration": 40.0}, (START_NS, END_NS)),
        ({"timestamp": 18446744073709550, "duration": 1}, (18446744073709550000, 18446744073709551000)),
    ],
)
def test_numbers_as_a_server_reads_them(times: dict[str, Any], expected: tuple[int, int]) -> None:
    """Whole numbers may be texts or have a point; OTLP's 64 bits are used to the last microsecond."""
    assert walk(make(**times)).application[0].spans[0][2:] == expected


@pytest.mark.parametrize("value", ["soon", "1.5", 1.5, "", "1 ", "٣", "1_0", [], True, {"a": 1}], ids=repr)
@pytest.mark.parametrize("field", ["timestamp", "duration"])
def test_times_that_are_no_numbers_are_refused(field: str, value: object) -> None:
    """The error says which."""
    with pytest.raises(WireError, match=rf"\$\[0\]\.{field}"):
        walk(make(**{field: value}))


@pytest.mark.parametrize(
    ("kind", "remote", "peer"),
    [
        ("CLIENT", {"ipv4": "10.96.0.10"}, "10.96.0.10"),
        ("PRODUCER", {"ipv6": "fd00::1", "serviceName": "queue", "port": 80}, "fd00::1"),
        ("CLIENT", {"ipv6": "::ffff:10.96.0.10"}, "10.96.0.10"),
        ("CLIENT", {"ipv4": "10.96.0.10", "ipv6": "fd00::1"}, None),
        ("CLIENT", {"ipv4": "cart"}, None),
        ("CLIENT", {"ipv4": "1" * 1000}, None),
        ("CLIENT", {"serviceName": "cart"}, None),
        ("CLIENT", {"ipv4": None, "ipv6": ""}, None),
        ("SERVER", {"ipv4": "10.96.0.10"}, None),
        (None, {"ipv4": "10.96.0.10"}, None),
    ],
)
def test_peer_is_the_remote_address_of_who_waits(kind: str | None, remote: dict[str, Any], peer: str | None) -> None:
    """A wrong peer would cost the hops, so with two addresses there is none; what is no address is none either."""
    (group,) = walk(make(kind=kind, remoteEndpoint=remote)).application
    assert group.peers == ({KEY: address(peer)} if peer else {})


@pytest.mark.parametrize(
    "fields",
    [
        {"tags": {"otel.scope.name": 5, "error": None}}, {"annotations": "none"}, {"name": 5}, {"kind": "client"},
        {"localEndpoint": {}}, {"later": {"deep": [[[]]]}}, {"debug": 1}, {"remoteEndpoint": {"port": "x"}},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_parent_needs_is_not_judged(fields: dict[str, Any]) -> None:
    """That is the backend's to say."""
    assert list_keys(walk(make(**fields))) == [KEY]


@pytest.mark.parametrize(
    "data",
    [
        b"{}", b"7", b"null", b"[1]", b"[null]", b"[{}]", b"[", b"[]]", b"not json", b"\xef\xbb\xbf[]", b" ",
        b"\x0a\x05",
        b'[{"traceId":"1","id":"1","kind":7}]', b'[{"traceId":"1","id":"1","localEndpoint":"a"}]',
        b'[{"traceId":"1","id":"1","shared":"yes"}]', b'[{"traceId":"1","id":"1","name":"\xff"}]',
        b'[{"traceId":"1","id":"1","name":"\xc3"}]', b'[{"traceId":"1","id":"1"},]',
        b'[{"traceId":"1","id":"1","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    ],
    ids=lambda data: repr(data[:50]),
)  # fmt: skip
def test_what_is_no_array_of_spans_is_refused(data: bytes) -> None:
    """Wrong types, no UTF-8, cut short, nested without end: one documented error."""
    with pytest.raises(WireError):
        walk_zipkin(data)


def test_nothing_holds_no_spans() -> None:
    """A server answers an empty body and an empty array with success."""
    assert walk_zipkin(b"") == walk_zipkin(b"[]") == walk_zipkin(b" [ ]\n") == ZipkinWalk(0, [])


def test_half_of_a_surrogate_pair_passes() -> None:
    """JavaScript writes it where a text was cut in the middle of an emoji, and a server takes it."""
    times = b'"timestamp":1,"duration":1'
    data = b'[{"traceId":"1","id":"1",' + times + b',"name":"\\ud83d","localEndpoint":{"serviceName":"\\ud83d"}}]'
    (group,) = walk_zipkin(data).application
    assert read_service_name(group.resource) == "\N{REPLACEMENT CHARACTER}"
    whole = data.replace(b"\\ud83d", b"\\ud83d\\ude00")
    assert read_service_name(walk_zipkin(whole).application[0].resource) == "\N{GRINNING FACE}"


@pytest.mark.parametrize("padding", [0, 23 * 30])
def test_too_many_spans_are_refused(monkeypatch: pytest.MonkeyPatch, padding: int) -> None:
    """Short spans and long ones are counted, the short ones before all of them were made."""
    monkeypatch.setattr(otlp_walk, "MAX_SPANS", 23)
    span = {"traceId": "1", "id": "1", "tags": {"a": "{}" * padding}}
    assert walk(*[span] * 23).span_count == 23
    for count in (24, 500):
        with pytest.raises(TooManySpansError, match="more than 23 spans"):
            walk(*[span] * count)
    with pytest.raises(WireError, match="traceId"):
        walk({"id": "1", "tags": {"a": "{}" * 500}})


SAMPLES = [json.dumps([make(), make(id="2", remoteEndpoint={"ipv4": "1.2.3.4"}, shared=True)]).encode(), b"[]"]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_arrays_are_answered_or_refused(seed: int) -> None:
    """Whatever comes, nothing but the documented error gets out; some of it is still lawful."""
    taken = [answers_or_refuses(walk_zipkin, data) for data in mutate(SAMPLES, seed, 1500)]
    assert 0 < sum(taken) < len(taken)


@given(st.binary(max_size=60))
def test_garbage_is_refused(data: bytes) -> None:
    """Random bytes are no array, but for those that are."""
    if answers_or_refuses(walk_zipkin, data):
        assert data == b"" or json.loads(data) == []


@settings(max_examples=300)
@given(st.lists(SPANS, max_size=6))
def test_walk_agrees_with_a_plain_reading(spans: list[dict[str, Any]]) -> None:
    """The same spans by the letter of the rules, one after the other."""
    expected: dict[str, list[tuple[bytes, int, int, int]]] = {}
    for span in spans:
        trace_id, span_id = span["traceId"].zfill(32), span["id"].zfill(16)
        if len(trace_id) > 32 or len(span_id) > 16 or not trace_id.strip("0") or not span_id.strip("0"):
            with pytest.raises(WireError):
                walk(*spans)
            return
        start, duration = span.get("timestamp", 0) * 1000, span.get("duration", 0) * 1000
        is_shared = span.get("shared") and span.get("kind") != "CLIENT"
        is_own = span.get("tags", {}).get("otel.scope.name") == "hopspan"
        if start > 0 and duration > 0 and start + duration < 2**64 and not is_shared and not is_own:
            service = (span.get("localEndpoint") or {}).get("serviceName", "")
            entry = (bytes.fromhex(trace_id + span_id), KINDS.get(span.get("kind"), 0), start, start + duration)
            expected.setdefault(service, []).append(entry)
    walked = walk(*spans)
    assert walked.span_count == len(spans)
    found = {read_service_name(group.resource): list(group.spans) for group in walked.application}
    assert found == {service or UNKNOWN_SERVICE: entries for service, entries in expected.items()}
