"""Every way in which a trace can fail to show its chains is named."""

import runpy
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

from traceview.otlp_json import read_spans
from traceview.span import Span
from traceview.tree import group_traces
from traceview.verify import OVERLAY_CHAIN, SAME_NODE_CHAIN, Expectation, check_traces, missing_chains

CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
SPANS = read_spans(line.encode() for line in CHECKOUT["build_lines"](1))
TRACE_ID = SPANS[0].trace_id.hex()
EXPECTED = (
    Expectation("frontend", "cart", OVERLAY_CHAIN),
    Expectation("frontend", "catalog", SAME_NODE_CHAIN),
)
CART = next(span for span in SPANS if span.name == "router cart egress")
CART_HOPS = [span for span in SPANS if span.is_network and span.parent_id == CART.span_id]
REQUEST, RESPONSE = CART_HOPS[:7], CART_HOPS[7:]
WHERE = f'trace {TRACE_ID}: frontend "router cart egress" (span {CART.span_id.hex()}) to cart: '
GOT = "; got veth-hop > host-forward > vxlan-encap > underlay > vxlan-decap > host-forward > veth-hop"


def change(spans: Iterable[Span], **fields: object) -> list[Span]:
    return [msgspec.structs.replace(span, **fields) for span in spans]


def mark(spans: Iterable[Span], prefix: str, **attributes: object) -> list[Span]:
    """Return copies with ids of their own and more attributes."""
    more = {f"hopspan.{key}": value for key, value in attributes.items()}
    return [
        msgspec.structs.replace(
            span, span_id=prefix.encode() + span.span_id[1:], attributes={**span.attributes, **more}
        )
        for span in spans
    ]


def leave_out(*spans: Span) -> list[Span]:
    return [span for span in SPANS if span not in spans]


def find_faults(spans: Iterable[Span]) -> list[str]:
    return missing_chains(group_traces(spans), EXPECTED)


def test_full_chains_have_no_fault() -> None:
    """The made-up checkouts show both chains, both ways, in all of 23 traces."""
    spans = read_spans(line.encode() for line in CHECKOUT["build_lines"](23))
    verdicts = check_traces(group_traces(spans), EXPECTED)
    assert [verdict.faults for verdict in verdicts] == [()] * 23
    assert len({verdict.trace_id for verdict in verdicts}) == 23
    assert missing_chains(group_traces(spans), EXPECTED) == []


TABLE: list[tuple[str, Callable[[], list[Span]], list[str]]] = [
    (
        "a hop is missing: the place tells which of two of one name",
        lambda: leave_out(REQUEST[6]),
        [f"{WHERE}request: veth-hop (hop 7 of 7) missing{GOT.removesuffix(' > veth-hop')}"],
    ),
    (
        "a hop was joined with its neighbour over a point that was not seen",
        lambda: [*leave_out(*REQUEST[1:3]), *mark(REQUEST[1:2], "x", missed="overlay-egress")],
        [
            f"{WHERE}request: vxlan-encap (hop 3 of 7) missing, overlay-egress not seen by host-forward"
            + GOT.replace(" > vxlan-encap", ""),
        ],
    ),
    (
        "a hop came twice",
        lambda: [*SPANS, *mark(RESPONSE[3:4], "x")],
        [f"{WHERE}response: underlay duplicated{GOT.replace('underlay', 'underlay > underlay')}"],
    ),
    (
        "a hop that does not belong there",
        lambda: [*SPANS, *change(mark(RESPONSE[3:4], "x"), name="geneve-encap")],
        [f"{WHERE}response: geneve-encap unexpected{GOT.replace('underlay', 'underlay > geneve-encap')}"],
    ),
    (
        "two hops changed places",
        lambda: [
            *leave_out(*REQUEST[2:4]),
            *change(REQUEST[2:3], start_ns=REQUEST[3].start_ns),
            *change(REQUEST[3:4], start_ns=REQUEST[2].start_ns),
        ],
        [
            f"{WHERE}request: underlay (hop 4 of 7) in wrong order"
            + GOT.replace("vxlan-encap > underlay", "underlay > vxlan-encap"),
        ],
    ),
    ("a whole direction is missing", lambda: leave_out(*RESPONSE), [f"{WHERE}response: no hops"]),
    (
        "the CLIENT span has no hops",
        lambda: leave_out(*CART_HOPS),
        [f"{WHERE}request: no hops", f"{WHERE}response: no hops"],
    ),
    (
        "the exchange is missing, its hops are strays",
        lambda: leave_out(CART, *RESPONSE, *REQUEST[2:]),
        [
            f"trace {TRACE_ID}: no CLIENT span of frontend whose server is cart",
            f"trace {TRACE_ID}: no parent span: unexpected request veth-hop, request host-forward",
        ],
    ),
    (
        "the server's span is missing, so the exchange is not known",
        lambda: [span for span in SPANS if span.service != "cart"],
        [
            f"trace {TRACE_ID}: no CLIENT span of frontend whose server is cart",
            f'trace {TRACE_ID}: frontend "router cart egress" (span {CART.span_id.hex()}): unexpected '
            + ", ".join(f"{way} {name}" for way in ("request", "response") for name in OVERLAY_CHAIN),
        ],
    ),
    (
        "a hop hangs under the application's span instead",
        lambda: [*leave_out(REQUEST[0]), *change(REQUEST[:1], parent_id=CART.parent_id)],
        [
            f"{WHERE}request: veth-hop (hop 1 of 7) missing{GOT.replace('got veth-hop > ', 'got ')}",
            f'trace {TRACE_ID}: frontend "egress" (span {CART.parent_id.hex()}): unexpected request veth-hop',
        ],
    ),
]


@pytest.mark.parametrize(("make", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_faults(make: Callable[[], list[Span]], expected: list[str]) -> None:
    """Each fault makes its sentences and no other."""
    assert find_faults(make()) == expected


def test_lost_sending_is_no_fault() -> None:
    """The first sending got as far as the wire; the second one is complete."""
    again = mark(REQUEST, "x", attempt=2)
    assert find_faults([*leave_out(*REQUEST[3:]), *again]) == []


def test_no_sending_is_complete() -> None:
    """Where every sending lacks a hop the last one is described."""
    again = mark(REQUEST[1:], "x", attempt=2)
    faults = find_faults([*leave_out(*REQUEST[3:]), *again])
    assert faults == [f"{WHERE}request: veth-hop (hop 1 of 7) missing{GOT.replace('got veth-hop > ', 'got ')}"]


def test_one_bad_trace_among_good_ones() -> None:
    """A fault is laid to its own trace."""
    good = read_spans(line.encode() for line in CHECKOUT["build_lines"](3))
    bad = good[-1].trace_id
    verdicts = check_traces(
        group_traces(span for span in good if span.trace_id != bad or span.name != "underlay"), EXPECTED
    )
    assert [len(verdict.faults) for verdict in verdicts] == [0, 0, 2]
