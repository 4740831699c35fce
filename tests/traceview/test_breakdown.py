"""The time of an exchange is divided into network, server and remainder."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from traceview.breakdown import Breakdown, break_down, find_servers
from traceview.otlp_json import read_spans
from traceview.span import Span, SpanKind
from traceview.tree import group_traces

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
US = 1000


def make_span(name: str, parent: str, start_us: int, duration_us: int, **fields: Any) -> Span:
    """Make a span whose id is `id`, or else its name."""
    return Span(
        trace_id=b"t" * 16,
        span_id=fields.get("id", name).encode().ljust(8),
        parent_id=parent.encode().ljust(8) if parent else b"",
        name=name,
        kind=fields.get("kind", SpanKind.INTERNAL),
        start_ns=start_us * US,
        end_ns=(start_us + duration_us) * US,
        scope=fields.get("scope", "app"),
        resource={"service.name": fields.get("service", "frontend")},
        attributes=fields.get("attributes", {}),
    )


def make_hop(number: int, start_us: int, duration_us: int, **attributes: Any) -> Span:
    """Make a hop whose shown end lies 1 us before its exact one, as the plugin writes it."""
    exact = {"hopspan.duration_ns": duration_us * US} | {f"hopspan.{key}": text for key, text in attributes.items()}
    return make_span("hop", "get", start_us, duration_us - 1, id=f"h{number}", scope="hopspan", attributes=exact)


CLIENT = make_span("get", "", 100, 1600, kind=SpanKind.CLIENT)
SERVER = make_span("serve", "get", 520, 700, kind=SpanKind.SERVER, service="cart")


def divide(*spans: Span) -> Breakdown:
    (trace,) = group_traces(spans)
    (breakdown,) = break_down(trace)
    return breakdown


def test_exact_durations_add_up() -> None:
    """Hops count with their exact durations, not with the spans' ends; what is left is the remainder."""
    hops = make_hop(1, 150, 240), make_hop(2, 390, 12), make_hop(3, 1300, 120, direction="response")
    found = divide(CLIENT, SERVER, *hops)
    assert (found.request_ns, found.response_ns, found.network_ns) == (252 * US, 120 * US, 372 * US)
    assert (found.server_ns, found.remainder_ns) == (700 * US, 528 * US)
    assert (found.server_service, found.notes) == ("cart", ())


def test_sendings_that_overlap_count_once() -> None:
    """A first sending that was late, not lost, overlaps the second; time that both cover counts once."""
    first = make_hop(1, 200, 100), make_hop(2, 300, 300)
    second = make_hop(3, 400, 100, attempt=2), make_hop(4, 500, 200, attempt=2)
    assert divide(CLIENT, SERVER, *first, *second).request_ns == 500 * US


def test_sendings_apart_leave_the_wait_to_the_remainder() -> None:
    """The time between a lost sending and the next one is no hop's."""
    assert divide(CLIENT, make_hop(1, 200, 10), make_hop(2, 900, 10, attempt=2)).request_ns == 20 * US


def test_remainder_is_never_negative() -> None:
    """Clocks that differ can make the parts longer than the whole; a note says so."""
    server = make_span("serve", "get", 0, 5000, kind=SpanKind.SERVER, service="cart")
    found = divide(CLIENT, server, make_hop(1, 150, 240), make_hop(2, 1300, 1, direction="response"))
    assert found.remainder_ns == 0
    assert found.notes == ("network and server together exceed the span: their clocks differ, or a hop was cut",)


def test_what_is_missing_is_noted() -> None:
    """No SERVER span, no response and cut hops each have their note."""
    notes = " ".join(divide(CLIENT, make_hop(1, 150, 240, clipped=True)).notes)
    assert "no SERVER span" in notes
    assert "no hops of the response" in notes
    assert "1 of its hops reach beyond" in notes


def test_span_without_hops_has_no_breakdown() -> None:
    """Only what has network spans is divided."""
    assert break_down(group_traces([CLIENT, SERVER])[0]) == ()


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ([], ["cart"]),
        ([make_span("mid", "get", 1, 1)], ["cart"]),
        ([make_span("mid", "get", 1, 1, kind=SpanKind.CLIENT)], []),
        ([make_span("mid", "get", 1, 1, kind=SpanKind.SERVER, service="proxy")], ["proxy"]),
        ([make_span("mid", "get", 1, 1, scope="hopspan", kind=SpanKind.SERVER)], ["cart"]),
    ],
)
def test_nearest_server(between: list[Span], expected: list[str]) -> None:
    """The nearest SERVER span below is the callee; beyond a CLIENT span lies another exchange."""
    parent = between[-1].name if between else "get"
    server = make_span("serve", parent, 2, 1, kind=SpanKind.SERVER, service="cart")
    (trace,) = group_traces([CLIENT, *between, server])
    assert [span.service for span in find_servers(trace, 0)] == expected


def test_servers_of_an_exchange_that_was_tried_again() -> None:
    """Two SERVER spans of one generation are both the server's time."""
    again = make_span("again", "get", 1300, 100, kind=SpanKind.SERVER, service="cart")
    assert divide(CLIENT, SERVER, again, make_hop(1, 150, 10)).server_ns == 800 * US


def test_checkout_through_sidecars() -> None:
    """In a mesh the sidecar's CLIENT spans carry the hops, and the callee's sidecar is the server."""
    (trace,) = group_traces(read_spans(line.encode() for line in CHECKOUT["build_lines"](1)))
    found = [(b.parent.name, b.server_service, len(b.request_hops), len(b.response_hops)) for b in break_down(trace)]
    assert found == [("router cart egress", "cart", 7, 7), ("router catalog egress", "catalog", 3, 3)]
    for breakdown in break_down(trace):
        parts_ns = breakdown.network_ns + breakdown.server_ns + breakdown.remainder_ns
        assert parts_ns == breakdown.duration_ns
        assert breakdown.remainder_ns == 180 * US


def test_the_search_for_a_server_has_an_end() -> None:
    """A server behind more spans than stand between a client and its server is not taken for its server."""
    for count, expected in ((19, 1), (20, 0)):
        chain = [make_span(f"s{at}", f"s{at - 1}" if at else "get", 200, 900) for at in range(count)]
        server = make_span("cart", f"s{count - 1}", 300, 500, kind=SpanKind.SERVER)
        (trace,) = group_traces([CLIENT, *chain, server])
        assert len(find_servers(trace, 0)) == expected
