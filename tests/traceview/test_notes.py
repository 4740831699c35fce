"""What is not plain in a trace is said in words."""

from typing import Any

import pytest

from traceview.notes import describe_trace, find_marks
from traceview.span import Span, SpanKind
from traceview.tree import group_traces


def make_trace(parent: bytes = b"r" * 8, **attributes: Any) -> tuple[Span, Span]:
    found = {f"hopspan.{key}": value for key, value in attributes.items()}
    return (
        Span(b"t" * 16, b"r" * 8, b"", "GET cart", SpanKind.CLIENT, 0, 9),
        Span(b"t" * 16, b"h" * 8, parent, "underlay", SpanKind.INTERNAL, 1, 2, "hopspan", attributes=found),
    )


@pytest.mark.parametrize(
    ("attributes", "marks", "notes"),
    [
        ({}, "", ()),
        ({"clock.source": "same"}, "", ()),
        ({"parent": b"x" * 8}, "?", ("? the parent is not among these spans (1 of 2)",)),
        ({"clipped": True}, "*", ("* cut to lie inside the parent; the duration is uncut (1 of 1 hops)",)),
        (
            {"missed": ("nic-egress",)},
            "*",
            ("* a point was not seen, so two hops are one: underlay over nic-egress",),
        ),
        ({"attempt": 3}, "", ("#2 and on: the message was sent again by TCP (up to 3 sendings)",)),
        ({"clock.source": "epoch"}, "", ("hops of the far node are placed by its own wall clock",)),
        (
            {"clock.source": "measured", "clock.uncertainty_ns": 12_300},
            "",
            ("one-way times between two nodes are known within 12.3 us; request and response together are exact",),
        ),
    ],
)
def test_notes_and_marks(attributes: dict[str, Any], marks: str, notes: tuple[str, ...]) -> None:
    """Each mark on a row has its sentence below the trace."""
    (trace,) = group_traces(make_trace(**attributes))
    assert find_marks(trace.rows[1]) == marks
    assert describe_trace(trace, "us") == notes


def test_failed_span() -> None:
    """An error is marked without colour too."""
    (trace,) = group_traces([Span(b"t" * 16, b"r" * 8, b"", "GET", SpanKind.CLIENT, 0, 9, failed=True)])
    assert find_marks(trace.rows[0]) == "!"
    assert describe_trace(trace, "us") == (
        "! the span ended with an error (1 of 1)",
        "no network hops: none of its messages was measured, or they are not here yet",
    )
