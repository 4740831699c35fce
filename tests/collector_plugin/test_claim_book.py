"""What is claimed from which agent: learnt addresses, the far side, and what goes nowhere is counted."""

import pytest

from collector_plugin.claim_book import ClaimBook
from collector_plugin.claim_queue import CLAIM_NS
from collector_plugin.known_addresses import SILENCE_NS
from collector_plugin.reasons import ClaimReason
from hopspan.flow_claims import ExactClaim
from node_probe.transit import ContextFormat, Direction, Point
from tests.collector_plugin.claim_story import (
    CLIENT,
    CLIENT_PORT,
    RECEIVED,
    SENT,
    SERVER,
    SPAN_ID,
    TRACE_ID,
    answer,
    claim,
    take,
    two_agents,
)

SECOND = 10**9


def test_unknown_address_is_asked_of_all() -> None:
    """Any node may have the client's pod."""
    book = two_agents()
    book.add_spans([claim()], 0)
    assert take(book, 1) == take(book, 2) == [claim()]
    assert take(book, 1) == []
    assert (book.counts.intervals, book.counts.to_known, book.counts.to_all) == (1, 0, 2)


def test_learnt_address_is_asked_of_its_node_alone() -> None:
    """The node whose answer was the client's side."""
    book = two_agents()
    book.add_answers("one", [answer()], 0)
    book.add_spans([claim()], 1)
    assert claim() in take(book, 1)
    assert claim() not in take(book, 2)
    assert book.counts.to_known == 1


@pytest.mark.parametrize(
    ("direction", "points", "own"),
    [
        (Direction.REQUEST, SENT, CLIENT),
        (Direction.REQUEST, RECEIVED, SERVER),
        (Direction.RESPONSE, SENT, SERVER),
        (Direction.RESPONSE, RECEIVED, CLIENT),
        (Direction.REQUEST, (Point.VETH_INGRESS, Point.VETH_EGRESS), CLIENT),
        (Direction.REQUEST, (Point.NIC_INGRESS, Point.NIC_EGRESS), None),
    ],
)
def test_answer_tells_whose_address_it_is(direction: Direction, points: tuple[Point, ...], own: bytes | None) -> None:
    """The sender's side has the address that the packet comes from; what passes through tells nothing."""
    book = ClaimBook()
    book.add_answers("one", [answer(direction, points)], 0)
    assert [address for address in (CLIENT, SERVER) if book.addresses.find(address, 0) == "one"] == (
        [own] if own is not None else []
    )


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("points", [SENT, RECEIVED, (Point.NIC_EGRESS,), (Point.NIC_INGRESS,)])
def test_far_side_is_claimed_from_the_others_once(direction: Direction, points: tuple[Point, ...]) -> None:
    """By the packet itself: no clock is needed. The far side's own answer claims nothing more."""
    book = two_agents()
    transit = answer(direction, points)
    book.add_answers("one", [transit, transit], 0)
    assert take(book, 1) == []
    assert take(book, 2) == [ExactClaim(TRACE_ID, SPAN_ID, 1, direction, CLIENT, CLIENT_PORT, 1, 7)]
    book.add_answers("two", [answer(direction, RECEIVED if points == SENT else SENT)], 1)
    assert (take(book, 1), take(book, 2)) == ([], [])
    assert (book.counts.exacts, book.counts.answers) == (1, 3)


def test_far_side_is_asked_of_the_node_that_has_it() -> None:
    """Of three agents, where the server's address was learnt."""
    book = two_agents()
    book.add_agent(3, "three")
    book.add_answers("two", [answer(points=RECEIVED)], 0)
    for number in (1, 2, 3):
        take(book, number)
    book.add_answers("one", [answer(seq=2)], 0)
    assert [len(take(book, number)) for number in (1, 2, 3)] == [0, 1, 0]


@pytest.mark.parametrize(
    "points", [(Point.VETH_INGRESS, Point.VETH_EGRESS), (Point.VETH_INGRESS, Point.OVERLAY_EGRESS)]
)
def test_what_was_not_on_the_wire_has_no_far_side(points: tuple[Point, ...]) -> None:
    """A message that stayed on its node, or never left it."""
    book = two_agents()
    book.add_answers("one", [answer(points=points)], 0)
    assert take(book, 2) == []


def test_transit_of_a_header_is_no_answer() -> None:
    """It has its context from the packet, on both nodes."""
    book = two_agents()
    book.add_answers("one", [answer(format_=ContextFormat.TRACEPARENT)], 0)
    assert take(book, 2) == []
    assert (book.counts.answers, len(book.addresses)) == (0, 0)


def test_address_that_moved_is_found_again() -> None:
    """A node that answers no more for it is asked alone for a while, then all are."""
    book = two_agents()
    book.add_answers("one", [answer(points=(Point.VETH_INGRESS, Point.VETH_EGRESS))], 0)
    book.add_spans([claim(1)], SECOND)
    book.add_spans([claim(2)], SECOND + SILENCE_NS)
    assert take(book, 2, SECOND) == []
    book.add_spans([claim(3)], SECOND + SILENCE_NS + 1)
    assert take(book, 2, 2 * SECOND) == [claim(3)]


def test_claims_wait_for_agents_to_come_back() -> None:
    """After a restart of the plugin they come one after the other; each is asked what all were."""
    book = ClaimBook()
    book.add_spans([claim(1)], 0)
    book.add_agent(1, "one")
    book.add_spans([claim(2)], 1)
    book.add_agent(2, "two")
    assert take(book, 1) == take(book, 2) == [claim(1), claim(2)]
    book.expire(2 * CLAIM_NS)
    assert book.counts.dropped[ClaimReason.NO_AGENT] == 0


def test_agent_that_comes_again_replaces_its_former_stream() -> None:
    """Its old connection may take minutes to be noticed as dead."""
    book = ClaimBook()
    assert book.add_agent(1, "one") is None
    assert book.add_agent(2, "one") == 1
    assert book.agent_count == 1
    book.remove_agent(1)
    book.add_spans([claim()], 0)
    assert take(book, 2) == [claim()]
    assert take(book, 1) == []


def test_known_node_without_a_stream_is_no_reason_to_lose_a_claim() -> None:
    """All others are asked, and it too where it comes back in time."""
    book = two_agents()
    book.add_answers("one", [answer(points=(Point.VETH_INGRESS, Point.VETH_EGRESS))], 0)
    book.remove_agent(1)
    book.add_spans([claim()], 1)
    book.add_agent(3, "one")
    assert take(book, 2, 1) == take(book, 3, 1) == [claim()]


def test_spans_without_a_claim_are_counted() -> None:
    """By why there is none."""
    book = two_agents()
    book.add_spans([ClaimReason.UNNAMED, claim(), ClaimReason.LOOPBACK, ClaimReason.UNNAMED], 0)
    assert take(book, 1) == [claim()]
    assert (book.counts.dropped[ClaimReason.UNNAMED], book.counts.dropped[ClaimReason.LOOPBACK]) == (2, 1)
