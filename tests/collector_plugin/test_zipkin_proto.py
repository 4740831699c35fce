"""Zipkin's protobuf as JSON: field by field, against the protobuf library, and damaged."""

import ipaddress
import json
import random
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_plugin import otlp_walk
from collector_plugin.otlp_walk import TooManySpansError
from collector_plugin.zipkin_proto import FREE_FIELDS, read_list_of_spans
from collector_plugin.zipkin_walk import walk_zipkin
from hopspan.protowire import WireError, write_length
from tests.collector_plugin.mutations import mutate
from tests.collector_plugin.otlp_requests import UNKNOWN, reorder
from tests.collector_plugin.zipkin_proto_reference import make_list, make_span

TRACE, ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")

FULL = {
    "trace_id": TRACE,
    "parent_id": b"\x07" * 8,
    "id": ID,
    "kind": 1,
    "name": "get /cart",
    "timestamp": 1_700_000_000_000_001,
    "duration": 40,
    "local_endpoint": {"service_name": "frontend", "ipv4": b"\x0a\xf4\1\2", "port": 40_000},
    "remote_endpoint": {"ipv6": ipaddress.ip_address("fd00::1").packed},
    "annotations": [{"timestamp": 5, "value": "ws"}, {"timestamp": 4, "value": "ü"}],
    "tags": {"http.path": "/cart", "": ""},
    "debug": True,
    "shared": True,
}


def read(*spans: dict[str, Any]) -> Any:
    return json.loads(read_list_of_spans(make_list(spans=spans).SerializeToString()))


def test_every_field_has_its_name_in_json() -> None:
    """Nothing is lost: ids are hex, addresses are text, the map is an object."""
    assert read(FULL) == [
        {
            "traceId": TRACE.hex(),
            "parentId": "0707070707070707",
            "id": ID.hex(),
            "kind": "CLIENT",
            "name": "get /cart",
            "timestamp": 1_700_000_000_000_001,
            "duration": 40,
            "localEndpoint": {"serviceName": "frontend", "ipv4": "10.244.1.2", "port": 40_000},
            "remoteEndpoint": {"ipv6": "fd00::1"},
            "annotations": [{"timestamp": 5, "value": "ws"}, {"timestamp": 4, "value": "ü"}],
            "tags": {"http.path": "/cart", "": ""},
            "debug": True,
            "shared": True,
        }
    ]


def test_what_has_its_default_is_absent() -> None:
    """A span of ids alone stays one: no zero times, no empty names, no endpoint without a field."""
    bare = {
        "trace_id": TRACE[8:],
        "id": ID,
        "parent_id": bytes(8),
        "local_endpoint": {"ipv4": b"123", "port": 70_000},
    }
    assert read(bare) == [{"traceId": TRACE[8:].hex(), "id": ID.hex()}]


def test_times_that_are_negative_to_a_server_are_absent() -> None:
    """It takes them so in protobuf, and would refuse them in JSON."""
    span = {
        "trace_id": TRACE,
        "id": ID,
        "timestamp": 2**63,
        "duration": 2**64 - 1,
        "annotations": [{"timestamp": 2**63}],
    }
    assert read(span) == [{"traceId": TRACE.hex(), "id": ID.hex(), "annotations": [{"timestamp": 0, "value": ""}]}]


def test_annotation_keeps_both_fields() -> None:
    """JSON wants them both, and proto3 leaves out an empty one."""
    assert read({"trace_id": TRACE, "id": ID, "annotations": [{}]})[0]["annotations"] == [
        {"timestamp": 0, "value": ""}
    ]


def test_nothing_is_an_empty_array() -> None:
    """As an empty body is lawful."""
    assert read_list_of_spans(b"") == b"[]"


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_id": b""}, {"trace_id": bytes(16)}, {"trace_id": TRACE[:9]}, {"trace_id": TRACE * 2}, {"id": b""},
        {"id": bytes(8)}, {"id": TRACE}, {"parent_id": b"12"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_ids_are_refused(fields: dict[str, bytes]) -> None:
    """A trace id has 8 or 16 bytes, another id 8."""
    with pytest.raises(WireError, match="id"):
        read({**FULL, **fields})


def test_text_that_is_not_utf_8_is_refused() -> None:
    """JSON cannot hold it."""
    span = make_list(spans=[FULL]).SerializeToString().replace(b"get /cart", b"get \xff\xffcart"[:9])
    with pytest.raises(WireError, match="UTF-8"):
        read_list_of_spans(span)


def test_too_many_spans_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first one that is too many."""
    monkeypatch.setattr(otlp_walk, "MAX_SPANS", 23)
    assert len(read(*[FULL] * 23)) == 23
    with pytest.raises(TooManySpansError, match="more than 23"):
        read(*[FULL] * 24)


@pytest.mark.parametrize("field", [b"\x10\x00", b"\x52\x00", b"\x5a\x00", b"\x42\x00"], ids=lambda field: field.hex())
def test_flood_of_empty_fields_is_refused(field: bytes) -> None:
    """Two bytes cost a microsecond each, so they are not read by the million."""
    with pytest.raises(TooManySpansError, match="too many fields"):
        read_list_of_spans(write_length(1, field * 4 * FREE_FIELDS))


ENDPOINTS = st.fixed_dictionaries(
    {},
    optional={
        "service_name": st.text(max_size=3),
        "ipv4": st.binary(min_size=4, max_size=4),
        "ipv6": st.binary(min_size=16, max_size=16),
        "port": st.integers(1, 65535),
    },
)
IDS = st.binary(min_size=8, max_size=8).filter(any)
SPANS = st.fixed_dictionaries(
    {"trace_id": IDS | st.binary(min_size=16, max_size=16).filter(any), "id": IDS},
    optional={
        "parent_id": IDS,
        "kind": st.integers(0, 4),
        "name": st.text(max_size=3),
        "timestamp": st.integers(0, 2**63 - 1),
        "duration": st.integers(0, 2**63 - 1),
        "local_endpoint": ENDPOINTS,
        "remote_endpoint": ENDPOINTS,
        "annotations": st.lists(
            st.fixed_dictionaries({"timestamp": st.integers(0, 2**63 - 1), "value": st.text(max_size=3)}), max_size=2
        ),
        "tags": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        "debug": st.booleans(),
        "shared": st.booleans(),
    },
)


def list_back(spans: Any) -> bytes:
    """Return the library's bytes of JSON spans."""
    listed = []
    for span in spans:
        fields: dict[str, Any] = {
            "trace_id": bytes.fromhex(span["traceId"]),
            "id": bytes.fromhex(span["id"]),
            "parent_id": bytes.fromhex(span.get("parentId", "")),
            "kind": ("", "CLIENT", "SERVER", "PRODUCER", "CONSUMER").index(span.get("kind", "")),
            **{
                key: span[key]
                for key in ("name", "timestamp", "duration", "annotations", "tags", "debug", "shared")
                if key in span
            },
        }
        for name, key in (("localEndpoint", "local_endpoint"), ("remoteEndpoint", "remote_endpoint")):
            if name in span:
                endpoint = span[name]
                fields[key] = {
                    **{ip: ipaddress.ip_address(endpoint[ip]).packed for ip in ("ipv4", "ipv6") if ip in endpoint},
                    "service_name": endpoint.get("serviceName", ""),
                    "port": endpoint.get("port", 0),
                }
        listed.append(fields)
    return make_list(spans=listed).SerializeToString(deterministic=True)


def drop_empty_endpoints(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return spans without endpoints that say nothing, which JSON need not have."""
    return [
        {key: value for key, value in span.items() if not key.endswith("_endpoint") or any(value.values())}
        for span in spans
    ]


@settings(max_examples=300)
@given(st.lists(SPANS, max_size=3), st.integers(0, 1000))
def test_json_holds_what_the_library_reads(spans: list[dict[str, Any]], seed: int) -> None:
    """In any order of fields and with unknown ones between, JSON has all of it, and the walk takes it."""
    spans = drop_empty_endpoints(spans)
    expected = make_list(spans=spans).SerializeToString(deterministic=True)
    parts = [make_span(**span).SerializeToString() for span in spans]
    read_spans = read_list_of_spans(b"".join(write_length(1, part) for part in parts))
    assert list_back(json.loads(read_spans)) == expected
    assert walk_zipkin(read_spans).span_count == len(spans)
    order = random.Random(seed)  # noqa: S311 - a test's
    shuffled = [write_length(1, reorder(part + UNKNOWN, order)) for part in parts]
    again = json.loads(read_list_of_spans(UNKNOWN + b"".join(shuffled)))
    for span, former in zip(again, json.loads(read_spans), strict=True):
        for list_of_both in (span, former):
            list_of_both.get("annotations", []).sort(key=str)
        assert span == former


SAMPLES = [make_list(spans=[FULL, FULL]).SerializeToString(), b""]


@pytest.mark.parametrize("seed", range(4))
def test_damaged_lists_are_read_or_refused(seed: int) -> None:
    """Nothing but the documented error gets out, and what is taken the library reads too."""
    taken = 0
    for data in mutate(SAMPLES, seed, 1500):
        try:
            text = read_list_of_spans(data)
        except WireError:
            continue
        taken += 1
        try:
            message: Any = make_list()
            message.ParseFromString(data)
        except DecodeError:
            continue
        assert len(json.loads(text)) == len(message.spans)
    assert 0 < taken < 1500


@given(st.binary(max_size=60))
def test_garbage_is_answered(data: bytes) -> None:
    """Random bytes are a list, or the documented error."""
    try:
        json.loads(read_list_of_spans(data))
    except WireError:
        return
