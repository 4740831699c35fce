"""Network spans as Zipkin v2 JSON: what is there, and what must not be."""

import json
import re

import msgspec
import pytest

from collector_plugin.network_span import Attributes, NetworkSpan, SpanEvent
from collector_plugin.zipkin_spans import map_span

SPAN = NetworkSpan(
    bytes.fromhex("0af7651916cd43dd8448eb211c80319c"),
    bytes.fromhex("b7ad6b7169203331"),
    bytes.fromhex("00000000000000ff"),
    1,
    "vxlan-encap",
    1_700_000_000_001_021_999,
    1_700_000_000_001_031_000,
    10_001,
    (
        Attributes(("hopspan.direction", "request")),
        Attributes(("source.port", 40_000), ("hopspan.clipped", True), ("hopspan.missed", ("a", "ü"))),
    ),
)


def test_span_is_a_local_one_of_its_parents_service() -> None:
    """No kind and no remote endpoint, or it were an edge of the dependency graph; no address, or it were moved."""
    assert map_span(SPAN, "Frontend", "1.2.3") == {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "parentId": "b7ad6b7169203331",
        "id": "00000000000000ff",
        "name": "vxlan-encap",
        "timestamp": 1_700_000_000_001_021,
        "duration": 10,
        "localEndpoint": {"serviceName": "frontend"},
        "tags": {
            "hopspan.direction": "request",
            "hopspan.duration_ns": "10001",
            "source.port": "40000",
            "hopspan.clipped": "true",
            "hopspan.missed": '["a","ü"]',
            "otel.scope.name": "hopspan",
            "otel.scope.version": "1.2.3",
        },
    }


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "duration_us"), [(5_000, 5_001, 1), (5_999, 6_000, 1), (5_000, 7_999, 2)]
)
def test_neighbours_stay_apart_in_microseconds(start_ns: int, end_ns: int, duration_us: int) -> None:
    """Both ends are cut to the microsecond, so that what follows begins where it was; nothing is shorter than one."""
    mapped = map_span(msgspec.structs.replace(SPAN, start_ns=start_ns, end_ns=end_ns), "s", "1")
    assert (mapped["timestamp"], mapped["duration"]) == (5, duration_us)


def test_trace_id_of_64_bits_is_written_as_such() -> None:
    """The application's own spans have it so: a strict server would take two widths for two traces."""
    mapped = map_span(msgspec.structs.replace(SPAN, trace_id=bytes(8) + b"\xab" * 8), "s", "1")
    assert mapped["traceId"] == "abababababababab"


def test_events_are_annotations() -> None:
    """In the form of OpenTelemetry's specification: the name, and the attributes as JSON."""
    event = SpanEvent(
        "underlay", 7_500, (Attributes(("hopspan.node", 'a"b')), Attributes(("hopspan.duration_ns", 3)))
    )
    mapped = map_span(msgspec.structs.replace(SPAN, events=(event,)), "s", "1")
    (annotation,) = mapped["annotations"]
    assert annotation["timestamp"] == 7
    assert annotation["value"].startswith('"underlay":{')
    assert json.loads("{" + annotation["value"] + "}") == {
        "underlay": {"hopspan.node": 'a"b', "hopspan.duration_ns": 3}
    }


def test_what_zipkin_takes() -> None:
    """Ids are lower-case hex, tags are strings, and no key ends so that Zipkin takes the body for its old format."""
    mapped = map_span(SPAN, "s", "1")
    for key in ("traceId", "parentId", "id"):
        assert re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{32}", mapped[key])
    assert all(isinstance(value, str) for value in mapped["tags"].values())
    assert not [key for key in mapped["tags"] if key.endswith("yAnnotations")]
    assert not {"kind", "remoteEndpoint", "shared", "debug"} & mapped.keys()
    assert json.loads(json.dumps(mapped)) == mapped
