"""Texts become what our attributes were; others stay texts."""

import pytest

from traceview.span import AttributeValue
from traceview.tag_values import find_scope, restore_values


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("hopspan.duration_ns", "12345", 12345),
        ("hopspan.clock.offset_ns", "-17", -17),
        ("hopspan.duration_ns", 12345, 12345),
        ("hopspan.duration_ns", "1e3", "1e3"),
        ("hopspan.duration_ns", "", ""),
        ("hopspan.duration_ns", "9" * 5000, "9" * 5000),
        ("hopspan.duration_ns", "\N{SUPERSCRIPT TWO}", "\N{SUPERSCRIPT TWO}"),
        ("hopspan.missed", '["nic-egress","nic-ingress"]', ("nic-egress", "nic-ingress")),
        ("hopspan.missed", "[1]", "[1]"),
        ("hopspan.missed", "[" * 100_000, "[" * 100_000),
        ("http.status_code", "200", "200"),
    ],
)
def test_values(key: str, value: AttributeValue, expected: AttributeValue) -> None:
    """Numbers and lists of ours are restored where they are such."""
    assert restore_values({key: value}) == {key: expected}


def test_scope() -> None:
    """The scope is a tag of either name, and no attribute."""
    assert find_scope({"otel.scope.name": "hopspan", "otel.library.name": "old"}) == "hopspan"
    assert find_scope({"otel.library.name": "old"}) == "old"
    assert find_scope({}) == ""
    assert restore_values({"otel.scope.name": "hopspan", "otel.library.name": "old"}) == {}
