"""OTLP/JSON requests of any lawful kind, for the tests of those who read them."""

import base64
from typing import Any

from hypothesis import strategies as st

TRACE, ID = "0AF7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

UINT32, UINT64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=4)


def as_number_or_text(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[int | str]:
    return numbers | numbers.map(str)


def make_fields(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with any of the fields, some null, and one that nobody knows."""
    unknown = st.sampled_from([1, "x", [], {"a": [None]}])
    nullable = {key: values | st.none() for key, values in fields.items()}
    return st.fixed_dictionaries({}, optional={**nullable, "fromALaterVersion": unknown})


SCALARS = st.one_of(
    st.just({}),
    st.builds(lambda v: {"stringValue": v}, TEXT | st.just("n" * 300)),
    st.builds(lambda v: {"boolValue": v}, st.booleans()),
    st.builds(lambda v: {"intValue": v}, as_number_or_text(st.integers(-(2**63), 2**63 - 1)) | st.just(3.0)),
    st.builds(
        lambda v: {"doubleValue": v},
        st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(-(2**70), 2**70)
        | st.sampled_from(["NaN", "Infinity", "-Infinity", "1.5", "-2e3", "7"]),
    ),
    st.builds(lambda v: {"bytesValue": base64.b64encode(v).decode()}, st.binary(max_size=5)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.builds(lambda v: {"arrayValue": {"values": v}}, st.lists(inner, max_size=3))
        | st.builds(
            lambda keys, v: {
                "kvlistValue": {"values": [{"key": k, "value": i} for k, i in zip(keys, v, strict=False)]}
            },
            st.lists(TEXT, max_size=3),
            st.lists(inner, max_size=3),
        )
        | st.sampled_from([{"arrayValue": {}}, {"kvlistValue": {}}, {"arrayValue": None}])
    ),
    max_leaves=6,
)
ATTRIBUTES = st.lists(make_fields({"key": TEXT, "value": VALUES}), max_size=3)
TRACE_IDS, SPAN_IDS = st.sampled_from(["", TRACE, "0" * 32]), st.sampled_from(["", ID, ID.upper()])
EVENTS = make_fields(
    {
        "timeUnixNano": as_number_or_text(UINT64),
        "name": TEXT,
        "attributes": ATTRIBUTES,
        "droppedAttributesCount": as_number_or_text(UINT32),
    }
)
LINKS = make_fields(
    {
        "traceId": TRACE_IDS,
        "spanId": SPAN_IDS,
        "traceState": TEXT,
        "attributes": ATTRIBUTES,
        "droppedAttributesCount": UINT32,
        "flags": UINT32,
    }
)
SPANS = make_fields(
    {
        "traceId": TRACE_IDS,
        "spanId": SPAN_IDS,
        "parentSpanId": SPAN_IDS,
        "traceState": TEXT,
        "name": TEXT,
        "kind": st.integers(0, 5) | st.just(-7),
        "startTimeUnixNano": as_number_or_text(UINT64),
        "endTimeUnixNano": as_number_or_text(UINT64),
        "attributes": ATTRIBUTES,
        "droppedAttributesCount": UINT32,
        "events": st.lists(EVENTS, max_size=2),
        "droppedEventsCount": UINT32,
        "links": st.lists(LINKS, max_size=2),
        "droppedLinksCount": UINT32,
        "status": make_fields({"message": TEXT, "code": st.integers(0, 2)}),
        "flags": UINT32,
    }
)
COUNTED = {"attributes": ATTRIBUTES, "droppedAttributesCount": UINT32}
SCOPE_SPANS = make_fields(
    {
        "scope": make_fields({"name": TEXT, "version": TEXT, **COUNTED}),
        "spans": st.lists(SPANS, max_size=2),
        "schemaUrl": TEXT,
    }
)
RESOURCE_SPANS = make_fields(
    {"resource": make_fields(COUNTED), "scopeSpans": st.lists(SCOPE_SPANS, max_size=2), "schemaUrl": TEXT}
)
REQUESTS = make_fields({"resourceSpans": st.lists(RESOURCE_SPANS, max_size=2)})
