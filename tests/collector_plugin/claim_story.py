"""Claims, and the transits that answer them, as tests have them."""

from collector_plugin.claim_book import ClaimBook
from hopspan.flow_claims import Claim, IntervalClaim, decode_batch
from node_probe.transit import Context, ContextFormat, Direction, Point, Stamp, Transit, TransitFlag
from node_probe.wire_batch import NodeIdentity, RawBatch, RawTransit
from node_probe.wire_record import encode_record

TRACE_ID, SPAN_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")
MAPPED = bytes(10) + b"\xff\xff"
CLIENT, SERVER = MAPPED + bytes((10, 244, 1, 10)), MAPPED + bytes((10, 244, 2, 20))
CLIENT_PORT, SERVER_PORT = 40_000, 15_006
SENT = (Point.VETH_INGRESS, Point.OVERLAY_EGRESS, Point.NIC_EGRESS)
RECEIVED = (Point.NIC_INGRESS, Point.OVERLAY_INGRESS, Point.VETH_EGRESS)


def claim(number: int = 0, client: bytes = CLIENT) -> IntervalClaim:
    """Return the claim of a span of its own."""
    return IntervalClaim(
        TRACE_ID,
        (1 + number).to_bytes(8, "big"),
        1,
        client,
        CLIENT_PORT,
        SERVER,
        SERVER_PORT,
        start_ns=10**18,
        end_ns=10**18 + 10**6,
        is_one_at_a_time=True,
    )


def answer(
    direction: Direction = Direction.REQUEST,
    points: tuple[Point, ...] = SENT,
    *,
    seq: int = 1,
    format_: ContextFormat = ContextFormat.FLOW,
) -> RawTransit:
    """Return a transit that an agent sends for a claim."""
    transit = Transit(
        context=Context(TRACE_ID, SPAN_ID, 1, format_),
        direction=direction,
        seq=seq,
        tsval=7,
        client_port=CLIENT_PORT,
        server_port=SERVER_PORT,
        client_address=CLIENT,
        server_address=SERVER,
        stamps=tuple(Stamp(point, 2, 1000 + place) for place, point in enumerate(points)),
        flags=TransitFlag.TLS,
    )
    return RawTransit(encode_record(transit), TRACE_ID, SPAN_ID, 1)


def batch(node: str, *transits: RawTransit) -> RawBatch:
    """Return the batch of a node."""
    return RawBatch(NodeIdentity(node, "", node, f"clock of {node}"), 10**18, {}, transits)


def take(book: ClaimBook, number: int, now_ns: int = 0) -> list[Claim]:
    """Return the next batch of an agent."""
    data = book.take(number, now_ns)
    return decode_batch(data).claims if data is not None else []


def two_agents() -> ClaimBook:
    """Return a book with the agents 1 of `one` and 2 of `two`."""
    book = ClaimBook()
    book.add_agent(1, "one")
    book.add_agent(2, "two")
    return book
