"""Spans become traces and rows, whatever their parents say."""

from collections.abc import Iterable

from traceview.span import Span, SpanKind
from traceview.tree import NO_PARENT, Trace, group_traces

TRACE = b"t" * 16


def make_span(name: str, parent: str, start_ns: int, kind: SpanKind = SpanKind.INTERNAL, **fields: str) -> Span:
    """Make a span whose id is `id`, or else its name."""
    return Span(
        trace_id=TRACE,
        span_id=fields.get("id", name).encode().ljust(8),
        parent_id=parent.encode().ljust(8) if parent else b"",
        name=name,
        kind=kind,
        start_ns=start_ns,
        end_ns=start_ns + 10,
        scope=fields.get("scope", "app"),
        resource={"service.name": fields.get("service", "frontend")},
    )


def draw(spans: Iterable[Span]) -> list[str]:
    (trace,) = group_traces(spans)
    check_indexes(trace)
    return ["  " * row.depth + row.span.name + ("?" if row.is_orphan else "") for row in trace.rows]


def check_indexes(trace: Trace) -> None:
    for index, row in enumerate(trace.rows):
        assert [trace.rows[child].parent for child in row.children] == [index] * len(row.children)
        assert (row.parent == NO_PARENT) == (row.depth == 0)
        assert row.parent < index


def test_children_stand_below_their_parent_by_start() -> None:
    """The order of the file does not matter."""
    spans = [
        make_span("late", "root", 30),
        make_span("leaf", "early", 12),
        make_span("early", "root", 10),
        make_span("root", "", 0),
    ]
    assert draw(spans) == ["root", "  early", "    leaf", "  late"]


def test_last_sibling_is_known() -> None:
    """Guides need to know where a line of siblings ends."""
    (trace,) = group_traces([make_span("root", "", 0), make_span("a", "root", 1), make_span("b", "root", 2)])
    assert [row.is_last for row in trace.rows] == [True, False, True]


def test_orphans_become_marked_roots_behind_the_true_one() -> None:
    """A span whose parent is absent is drawn, and says so."""
    spans = [make_span("orphan", "gone", 0), make_span("leaf", "orphan", 1), make_span("root", "", 5)]
    assert draw(spans) == ["root", "orphan?", "  leaf"]


def test_circles_are_cut() -> None:
    """Spans that are each other's parents are drawn once each, under a marked root."""
    assert draw([make_span("a", "b", 0), make_span("b", "a", 1)]) == ["a?", "  b"]
    assert draw([make_span("self", "self", 0)]) == ["self?"]


def test_depth_beyond_pythons_stack() -> None:
    """Nothing recurses."""
    count = 5000
    spans = [make_span(str(at), str(at - 1) if at else "", at) for at in range(count)]
    assert group_traces(spans)[0].rows[-1].depth == count - 1


def test_copies_are_drawn_once() -> None:
    """A span that was sent twice is one, two hops of one name are two."""
    root = make_span("root", "", 0)
    first, second = (make_span("veth-hop", "root", 1, id=name, scope="hopspan") for name in ("h1", "h2"))
    assert draw([root, first, root, second, first]) == ["root", "  veth-hop", "  veth-hop"]


def test_shared_span_id() -> None:
    """With B3 a server shares its client's id: it stands below it, and children go to their own half."""
    spans = [
        make_span("client", "root", 1, SpanKind.CLIENT),
        make_span("server", "root", 4, SpanKind.SERVER, id="client", service="cart"),
        make_span("work", "client", 5, service="cart"),
        make_span("retry", "client", 2),
        make_span("veth-hop", "client", 3, scope="hopspan"),
        make_span("root", "", 0),
    ]
    assert draw(spans) == ["root", "  client", "    retry", "    veth-hop", "    server", "      work"]


def test_traces_are_told_apart_and_in_order() -> None:
    """Each trace id makes a trace; the earliest comes first."""
    late = make_span("late", "", 9)
    early = Span(b"e" * 16, b"s" * 8, b"", "early", SpanKind.SERVER, 1, 2)
    assert [trace.root.name for trace in group_traces([late, early])] == ["early", "late"]


def test_measures_of_a_trace() -> None:
    """It lasts from the earliest start to the latest end; services come in the order of the rows."""
    hop = make_span("veth-hop", "root", 25, scope="hopspan")
    (trace,) = group_traces([make_span("root", "", 5), make_span("cart", "root", 20, service="cart"), hop])
    assert (trace.start_ns, trace.duration_ns, trace.hop_count) == (5, 30, 1)
    assert trace.services == ("frontend", "cart")


def test_root_is_no_hop_where_something_else_is_there() -> None:
    """A stray hop never names the trace."""
    hop, orphan = make_span("veth-hop", "gone", 0, scope="hopspan"), make_span("orphan", "lost", 5)
    assert group_traces([hop, orphan])[0].root == orphan
    assert group_traces([hop])[0].root == hop


def test_one_id_in_many_services() -> None:
    """Of spans that share an id a child belongs to that of its own service; a span is never its own parent."""
    shared = [make_span(f"in {name}", "", at, id="x", service=name) for at, name in enumerate("abcc")]
    below = [make_span(f"of {name}", "x", 5, service=name) for name in "abcd"]
    assert draw([*shared, *below]) == ["in a", "  of a", "  of d", "in b", "  of b", "in c", "  of c", "in c"]
    assert draw([make_span("first", "x", 0, id="x"), make_span("second", "x", 1, id="x")]) == ["first?", "  second"]
