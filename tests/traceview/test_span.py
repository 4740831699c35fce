"""What a span says of itself."""

from typing import Any

import pytest

from traceview.span import Direction, Span, SpanKind, drawing_order, is_set, read_text


def make_span(**changes: Any) -> Span:
    fields: dict[str, Any] = {
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "parent_id": b"",
        "name": "underlay",
        "kind": SpanKind.INTERNAL,
        "start_ns": 100,
        "end_ns": 1100,
        "scope": "hopspan",
    }
    return Span(**{**fields, **changes})


def test_exact_duration_of_a_hop() -> None:
    """A hop has the duration of its attribute, an application span that of its times."""
    exact = {"hopspan.duration_ns": 239_412}
    assert make_span(attributes=exact).duration_ns == 239_412
    assert make_span(attributes=exact, scope="app").duration_ns == 1000
    assert make_span().duration_ns == 1000


def test_duration_is_never_negative() -> None:
    """A span that ends before it starts has no duration."""
    assert make_span(end_ns=0).duration_ns == 0
    assert make_span(attributes={"hopspan.duration_ns": -5}).duration_ns == 0


@pytest.mark.parametrize(
    ("attributes", "resource", "node"),
    [
        ({"hopspan.node": "a", "k8s.node.name": "b"}, {"host.name": "c"}, "a"),
        ({"k8s.node.name": "b"}, {"host.name": "c"}, "b"),
        ({}, {"k8s.node.name": "d", "host.name": "c"}, "d"),
        ({}, {"host.name": "c"}, "c"),
        ({}, {}, ""),
    ],
)
def test_node(attributes: dict[str, str], resource: dict[str, str], node: str) -> None:
    """The hop's own node goes before the host of the resource, which is its parent's."""
    assert make_span(attributes=attributes, resource=resource).node == node


def test_defaults_of_a_hop() -> None:
    """A hop without attributes is a request's, first sent, neither cut nor joined over a point."""
    span = make_span()
    assert (span.direction, span.attempt, span.clipped, span.missed) == (Direction.REQUEST, 1, False, "")
    assert span.service == "unknown"


def test_marks_of_a_hop() -> None:
    """Marks are read as the plugin may write them, as a flag or as a list."""
    span = make_span(attributes={"hopspan.clipped": True, "hopspan.missed": ("overlay-egress", "nic-egress")})
    assert (span.clipped, span.missed) == (True, "overlay-egress, nic-egress")


@pytest.mark.parametrize("value", [False, 0, "", "false", ()])
def test_is_set_of_nothing(value: Any) -> None:
    """What says no counts as absent."""
    assert not is_set({"k": value}, "k")


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (7, "7"), (True, "true"), (b"\x01", "01"), (("a", "b"), "a, b"), (0.5, "0.5")]
)
def test_read_text(value: Any, text: str) -> None:
    """Every attribute has a text."""
    assert read_text({"k": value}, "k") == text


def test_order_of_spans_that_start_together() -> None:
    """Request hops by their points, then the application, then the response."""
    first, second = (make_span(attributes={"hopspan.from": point}) for point in ("pod-egress", "nic-egress"))
    unknown = make_span(attributes={"hopspan.from": "moon"})
    server = make_span(scope="app")
    response = make_span(attributes={"hopspan.direction": "response", "hopspan.from": "pod-egress"})
    expected = [first, second, unknown, server, response]
    found = [server, response, unknown, second, first]
    assert sorted(found, key=drawing_order) == expected
