"""List what is known of one span beyond its row: for a hop its points, addresses, tunnel and clock. Pure."""

from collections.abc import Iterator

from traceview.span import Attributes, Span, read_text
from traceview.text import format_us, make_visible


def list_details(span: Span, start_ns: int, unit: str) -> tuple[tuple[str, str], ...]:
    """Return pairs of label and text, those that are known.

    `start_ns` is when the trace starts; `unit` is how microseconds are written.
    """
    offset = f"{format_us(max(0, span.start_ns - start_ns))} {unit} after the trace began"
    common = [("starts", offset), ("span id", span.span_id.hex())]
    facts = _list_hop(span, unit) if span.is_network else iter(_list_application(span))
    return tuple((label, make_visible(text)) for label, text in (*facts, *common) if text)


def _list_application(span: Span) -> tuple[tuple[str, str], ...]:
    """Return the whole name too: a row has room for its head only."""
    return ("name", span.name), ("service", span.service), ("kind", span.kind.name)


def _list_hop(span: Span, unit: str) -> Iterator[tuple[str, str]]:
    held = span.attributes
    yield "direction", span.direction.label
    yield "points", _join_ends(read_text(held, "hopspan.from"), read_text(held, "hopspan.to"))
    yield "exact duration", f"{span.duration_ns} ns"
    yield "interface", " on ".join(text for text in (span.device, span.node) if text)
    yield "addresses", _join_ends(_read_socket(held, "source"), _read_socket(held, "destination"))
    yield "tunnel", " ".join(text for text in (read_text(held, "tunnel.type"), read_text(held, "tunnel.id")) if text)
    outer = read_text(held, "tunnel.source.address"), read_text(held, "tunnel.destination.address")
    yield "outer addresses", _join_ends(*outer)
    yield "clock", _describe_clock(held, unit)
    yield "sending", f"{span.attempt}, sent again by TCP" if span.attempt > 1 else ""
    yield "not seen", span.missed
    yield "cut", "reaches beyond its parent, drawn inside it" if span.clipped else ""


def _join_ends(start: str, end: str) -> str:
    return f"{start or '?'} \N{RIGHTWARDS ARROW} {end or '?'}" if start or end else ""


def _read_socket(attributes: Attributes, side: str) -> str:
    address, port = read_text(attributes, f"{side}.address"), read_text(attributes, f"{side}.port")
    if ":" in address and port:
        return f"[{address}]:{port}"
    return f"{address}:{port}" if port else address


def _describe_clock(attributes: Attributes, unit: str) -> str:
    source = read_text(attributes, "hopspan.clock.source")
    offset_ns = attributes.get("hopspan.clock.offset_ns")
    bound_ns = attributes.get("hopspan.clock.uncertainty_ns")
    if source != "measured" or not isinstance(offset_ns, int):
        return {"same": "one clock", "epoch": "the far node's wall clock"}.get(source, source)
    sign = "-" if offset_ns < 0 else "+"
    within = f", within {format_us(bound_ns)} {unit}" if isinstance(bound_ns, int) else ""
    return f"measured: far node {sign}{format_us(abs(offset_ns))} {unit}{within}"
