"""A run is complete only if each request shows every hop under the spans whose ids its packets carried."""

import json
import runpy
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest

from testbed.demo_verdict import find_backend_faults, find_faults, read_counts
from testbed.topology import CART_SERVICE, CATALOG_SERVICE, FRONTEND_SERVICE, Service
from testbed.wire_watch import WireRequest
from traceview.otlp_json import read_spans
from traceview.span import Span, SpanKind
from traceview.tree import group_traces

COUNT = 23
CHECKOUT = runpy.run_path(str(Path(__file__).parents[1] / "traceview" / "make_checkout.py"))
SPANS = read_spans(line.encode() for line in CHECKOUT["build_lines"](COUNT))
FIRST = SPANS[0].trace_id
WHERE = f"trace {FIRST.hex()}: "


def carry(service: Service) -> list[WireRequest]:
    """Return the requests to a service whose packets carried the ids of the sidecar's CLIENT spans."""
    parents = [span for span in SPANS if span.name == f"router {service.name} egress"]
    return [WireRequest(service.cluster_address, service.port, span.trace_id, span.span_id) for span in parents]


CART, CATALOG = carry(CART_SERVICE), carry(CATALOG_SERVICE)
CART_ID, CATALOG_ID = CART[0].parent_id, CATALOG[0].parent_id
EGRESS_ID = next(span.parent_id for span in SPANS if span.span_id == CART_ID)
"""The SERVER span above the CLIENT span whose id the packet carried."""


def leave_out(is_unwanted: Callable[[Span], bool]) -> list[Span]:
    return [span for span in SPANS if not is_unwanted(span)]


def change(is_meant: Callable[[Span], bool], **fields: object) -> list[Span]:
    return [msgspec.structs.replace(span, **fields) if is_meant(span) else span for span in SPANS]


def is_hop_below(parent_id: bytes) -> Callable[[Span], bool]:
    return lambda span: span.is_network and span.parent_id == parent_id


def is_unseen_without_node_2(span: Span) -> bool:
    """Tell whether a hop needs node-2's probe: its own ones, and the wire."""
    return span.is_network and (span.node == "node-2" or span.name == "underlay")


def blame_packet(service: str, span_id: bytes) -> str:
    return f"{WHERE}span {span_id.hex()}, whose id a packet to {service} carried, is no CLIENT span with hops"


def blame_span(service: str, span_id: bytes, where: str = WHERE) -> str:
    return f"{where}span {span_id.hex()} has hops to {service}, but no packet carried its id"


def test_complete_run() -> None:
    """Every request's hops lie under the spans that the wire named: no fault."""
    assert find_faults(group_traces(SPANS), [*CART, *CATALOG], COUNT) == []


def test_order_and_repetition_of_packets_do_not_matter() -> None:
    """A packet that TCP sent again carries the same ids, and requests to others are not judged."""
    wire = [*reversed(CATALOG), *CART, *CART[:3], *carry(FRONTEND_SERVICE)]
    other = WireRequest(FRONTEND_SERVICE.cluster_address, 80, FIRST, bytes(8))
    assert find_faults(group_traces(SPANS), [*wire, other], COUNT) == []


TABLE: list[tuple[str, Iterable[Span], list[WireRequest], list[str]]] = [
    (
        "a trace is missing",
        leave_out(lambda span: span.trace_id == FIRST),
        CART + CATALOG,
        [
            "22 of 23 requests left a trace",
            blame_packet("cart", CART_ID),
            blame_packet("catalog", CATALOG_ID),
        ],
    ),
    (
        "a packet was not seen",
        SPANS,
        CART[1:] + CATALOG,
        ["22 of 23 requests to cart were seen on the wire", blame_span("cart", CART_ID)],
    ),
    (
        "a packet carried another id, so the hops hang under a span that it does not name",
        SPANS,
        [WireRequest(CART[0].address, CART[0].port, FIRST, EGRESS_ID), *CART[1:], *CATALOG],
        [blame_packet("cart", EGRESS_ID), blame_span("cart", CART_ID)],
    ),
    (
        "the packet went to the other service",
        SPANS,
        [*CART[1:], WireRequest(CATALOG[0].address, CATALOG[0].port, FIRST, CART_ID), *CATALOG[1:]],
        [
            "22 of 23 requests to cart were seen on the wire",
            blame_span("cart", CART_ID),
            blame_packet("catalog", CART_ID),
            blame_span("catalog", CATALOG_ID),
        ],
    ),
]


@pytest.mark.parametrize(("spans", "wire", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_ids_that_differ(spans: Iterable[Span], wire: list[WireRequest], expected: list[str]) -> None:
    """What the wire showed and what the spans show must be the same; each difference has its sentence."""
    assert find_faults(group_traces(spans), wire, COUNT) == expected


HOPS: list[tuple[str, Iterable[Span], list[str]]] = [
    (
        "one hop is missing",
        leave_out(lambda span: is_hop_below(CATALOG_ID)(span) and span.name == "host-forward"),
        ["request: host-forward (hop 2 of 3) missing", "response: host-forward (hop 2 of 3) missing"],
    ),
    (
        "the hops hang under the SERVER span above",
        change(is_hop_below(CART_ID), parent_id=EGRESS_ID),
        [blame_packet("cart", CART_ID), "request: no hops", "response: no hops", "unexpected request veth-hop"],
    ),
    (
        "the span that the packet names is no CLIENT span",
        change(lambda span: span.span_id == CART_ID, kind=SpanKind.INTERNAL),
        [blame_packet("cart", CART_ID), "no CLIENT span of frontend whose server is cart", "unexpected request veth"],
    ),
    (
        "all hops of one exchange are missing",
        leave_out(is_hop_below(CATALOG_ID)),
        [blame_packet("catalog", CATALOG_ID), "request: no hops", "response: no hops"],
    ),
    (
        "a trace is torn",
        leave_out(lambda span: span.trace_id == FIRST and not span.parent_id),
        [f"{WHERE}1 spans whose parent is missing"],
    ),
]


@pytest.mark.parametrize(("spans", "expected"), [row[1:] for row in HOPS], ids=[row[0] for row in HOPS])
def test_hops_that_are_missing(spans: Iterable[Span], expected: list[str]) -> None:
    """Each fault of one trace among 23 is told, and no other."""
    faults = find_faults(group_traces(spans), CART + CATALOG, COUNT)
    assert [each in fault for each, fault in zip(expected, faults, strict=True)] == [True] * len(faults)
    assert all(fault.startswith(WHERE) for fault in faults)


def test_node_without_probe_is_told() -> None:
    """Without node-2's probe every request lacks what that node measures and the wire, both ways, and no more."""
    faults = find_faults(group_traces(leave_out(is_unseen_without_node_2)), CART + CATALOG, COUNT)
    assert len(faults) == 2 * COUNT
    for fault in faults:
        assert "underlay (hop 4 of 7) missing" in fault
        assert fault.count("missing") == 4
        assert " to cart: re" in fault


def test_nothing_at_all() -> None:
    """An empty run is no complete one."""
    assert find_faults((), (), COUNT) == [
        "0 of 23 requests left a trace",
        "0 of 23 requests to cart were seen on the wire",
        "0 of 23 requests to catalog were seen on the wire",
    ]


SENT = {"exporter_sent_spans{file,application}": 300, "exporter_sent_spans{file,network}": 400}
DELIVERED = {"exporter_sent_spans{otlp,application}": 300, "exporter_sent_spans{otlp,network}": 400}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (SENT | DELIVERED, []),
        (SENT | DELIVERED | {"exporter_sent_spans{otlp,network}": 399}, ["the backend b:4317 took 699 of 700 spans"]),
        (SENT, ["the backend b:4317 took 0 of 700 spans"]),
        ({}, ["what it sent is not known"]),
    ],
    ids=["all", "all but one", "none", "no counts"],
)
def test_backend(counts: dict[str, int], expected: list[str]) -> None:
    """A backend that has fewer spans than the file is named, with both numbers."""
    faults = find_backend_faults(counts, "b:4317")
    assert [each in fault for each, fault in zip(expected, faults, strict=True)] == [True] * len(faults)


STOPPED = json.dumps({"time": "t", "level": "info", "message": "stopped", "a{b}": 23})


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (f'{{"message": "ready", "a{{b}}": 1}}\n{STOPPED}\n', {"a{b}": 23}),
        (f'{STOPPED}\n{{"message": "some message", "suppressed": 3}}\nno JSON\n[]\n', {"a{b}": 23}),
        ('{"message": "ready", "a": 1}\nTraceback\n', {}),
        (STOPPED[:-1], {}),
        ("", {}),
    ],
    ids=["last", "followed by others", "never stopped", "cut off", "empty"],
)
def test_counts_of_the_plugin(log: str, expected: dict[str, int]) -> None:
    """The counts are those of the line `stopped`, wherever it stands."""
    assert read_counts(log) == expected
