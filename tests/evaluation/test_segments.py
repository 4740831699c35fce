"""A call is divided into segments that follow each other, and none of its time is lost or told twice."""

from hypothesis import given
from hypothesis import strategies as st

from evaluation.segments import (
    ANSWERED,
    BEFORE,
    BEHIND,
    QUEUED,
    SENT_AGAIN,
    SERVER,
    Exchange,
    divide_trace,
    name_segment,
)
from tests.evaluation.samples import make_trace
from traceview.tree import Trace, group_traces

CLIENT_NAME = "GET cart"


def divide(trace: Trace) -> Exchange:
    """Return the call, which must be whole."""
    exchange = divide_trace(trace)
    assert exchange is not None
    return exchange


def leave_out(trace: Trace, place: int) -> Trace:
    """Return the trace without its `place`-th span."""
    spans = [row.span for row in trace.rows]
    (left,) = group_traces(spans[:place] + spans[place + 1 :])
    return left


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_segments_add_up_to_the_client_span(hop_ns: int, wait_ns: int) -> None:
    """Whatever the hops take, and however late a request is sent again, all segments together are the CLIENT span."""
    trace = make_trace(hop_ns=hop_ns, wait_ns=wait_ns, lost=wait_ns > 0)
    client = next(row.span for row in trace.rows if row.span.name == CLIENT_NAME)
    assert sum(divide(trace).segments.values()) == client.duration_ns


def test_each_segment_has_its_own_time() -> None:
    """Pods, application and hops are told apart; the gap is what is not the application's."""
    segments = divide(make_trace(hop_ns=1500)).segments
    assert segments[BEFORE] == segments[BEHIND] == 10_000
    assert (segments[QUEUED], segments[SERVER], segments[ANSWERED]) == (3000, 4000, 3000)
    assert segments[name_segment("underlay", "request", "node-1")] == 1500
    assert segments[name_segment("underlay", "response", "node-2")] == 1500
    assert divide(make_trace(hop_ns=1500)).gap_ns == 20_000 + 14 * 1500 + 6000


def test_lost_request_is_time_until_it_was_sent_again() -> None:
    """The hops are those of the sending that arrived; what passed before it is one segment."""
    lost, kept = divide(make_trace(wait_ns=200_000_000, lost=True)), divide(make_trace())
    assert lost.segments[SENT_AGAIN] == 200_000_000
    assert lost.segments | {SENT_AGAIN: 0} == kept.segments


def test_call_that_lacks_a_span_is_none() -> None:
    """Without a hop, or one of the application's spans, nothing is told of a call."""
    trace = make_trace()
    needed = [place for place, row in enumerate(trace.rows) if row.span.scope != "envoy"]
    assert len(needed) == 16
    assert [divide_trace(leave_out(trace, place)) for place in needed] == [None] * 16
