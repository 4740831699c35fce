"""What claims are bounded by: queues, ages, rates and stores, and what is lost is counted."""

import tracemalloc

import pytest

from collector_plugin import claim_book, claim_queue, known_addresses
from collector_plugin.claim_book import MAX_TO_ALL_PER_S, ClaimBook
from collector_plugin.claim_queue import CLAIM_BYTES, CLAIM_NS, MAX_QUEUED, PLACE_BYTES
from collector_plugin.known_addresses import PATIENCE_NS, RETRY_NS
from collector_plugin.reasons import ClaimReason
from hopspan.flow_claims import MAX_BATCH_CLAIMS, IntervalClaim
from node_probe.transit import Point
from tests.collector_plugin.claim_story import MAPPED, answer, claim, take, two_agents

SECOND = 10**9


def test_address_that_nobody_answers_for_is_asked_for_once_a_second() -> None:
    """A sidecar outside the cluster must not cost every agent for ever."""
    book = two_agents()
    book.add_spans([claim(0)], 0)
    book.add_spans([claim(1)], PATIENCE_NS)
    book.add_spans([claim(2)], PATIENCE_NS + 1)
    book.add_spans([claim(3)], PATIENCE_NS + RETRY_NS)
    assert take(book, 1, PATIENCE_NS - 1) == [claim(0), claim(1), claim(3)]
    assert book.counts.dropped[ClaimReason.UNANSWERED] == 1


def test_claims_that_no_agent_came_for_are_counted() -> None:
    """Ten seconds later they are of no use."""
    book = ClaimBook()
    book.add_spans([claim(1), claim(2)], 0)
    book.expire(CLAIM_NS)
    book.add_agent(1, "one")
    assert take(book, 1, CLAIM_NS) == []
    assert book.counts.dropped[ClaimReason.NO_AGENT] == 2


def test_slow_agent_loses_its_oldest_claims_alone() -> None:
    """Its queue is bounded; the others have theirs."""
    book = two_agents()
    for number in range(MAX_QUEUED + 3):
        book.add_spans([claim(number)], number * SECOND // MAX_TO_ALL_PER_S)
        if number % MAX_BATCH_CLAIMS == 0:
            take(book, 2, 0)
    assert book.counts.dropped[ClaimReason.FLOOD] == 0
    assert book.counts.dropped[ClaimReason.QUEUE_FULL] == 3
    assert book.count_waiting(1) == MAX_QUEUED
    assert take(book, 1, 0)[0] == claim(3)


def test_claims_that_an_agent_did_not_take_in_time_are_counted() -> None:
    """They are dropped whether somebody asks or not, and so is what waits for an agent that goes."""
    book = two_agents()
    book.add_spans([claim(1)], 0)
    book.add_spans([claim(2)], 1)
    assert take(book, 1, CLAIM_NS) == [claim(2)]
    book.expire(CLAIM_NS)
    assert book.counts.dropped[ClaimReason.EXPIRED] == 2
    book.remove_agent(2)
    assert book.counts.dropped[ClaimReason.EXPIRED] == 3


def test_flood_of_addresses_displaces_nothing_that_was_learnt() -> None:
    """What spans name is not what agents answered; what goes to all is bounded by the second."""
    book = two_agents()
    book.add_answers("one", [answer(points=(Point.VETH_INGRESS, Point.VETH_EGRESS))], 0)
    flood = [claim(number, MAPPED + number.to_bytes(4, "big")) for number in range(known_addresses.MAX_UNKNOWN + 10)]
    book.add_spans(flood, SECOND)
    assert book.counts.dropped[ClaimReason.FLOOD] == len(flood) - MAX_TO_ALL_PER_S
    book.add_spans([claim()], SECOND)
    assert book.counts.to_known == 1
    book.add_spans(flood[:1], 2 * SECOND)
    assert book.counts.dropped[ClaimReason.FLOOD] == len(flood) - MAX_TO_ALL_PER_S


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each store forgets its oldest."""
    for module, name in (
        (claim_book, "MAX_SEEN"),
        (known_addresses, "MAX_LEARNT"),
        (known_addresses, "MAX_UNKNOWN"),
        (claim_queue, "MAX_QUEUED"),
        (claim_book, "MAX_QUEUED"),
    ):
        monkeypatch.setattr(module, name, 7)
    book = ClaimBook()
    for number in range(23):
        address = MAPPED + number.to_bytes(4, "big")
        book.addresses.learn(address, "one", 0)
        book.add_spans([claim(number, MAPPED + b"\x01" + number.to_bytes(3, "big"))], 0)
        book.add_answers("one", [answer(seq=number)], 0)
    assert len(book.addresses) == len(book._seen) == len(book._recent) == len(book.addresses._unknown) == 7


def test_batch_holds_no_more_than_it_may() -> None:
    """The rest comes with the next."""
    book = two_agents()
    claims: list[IntervalClaim | ClaimReason] = [claim(number) for number in range(MAX_BATCH_CLAIMS + 1)]
    book.add_spans(claims, 0)
    assert len(take(book, 1)) == MAX_BATCH_CLAIMS
    assert len(take(book, 1)) == 1


def test_memory_of_what_waits_is_told_once() -> None:
    """A claim that waits for all is one object, however many agents there are; nothing is left when all is taken."""
    book = ClaimBook()
    for number in range(100):
        book.add_agent(number, f"node-{number}")
    book.addresses.learn(MAPPED + b"node", "node-1", 0)
    book.add_spans([claim(1), claim(2, MAPPED + b"node")], 0)
    assert CLAIM_BYTES * 2 <= book.size_bytes <= CLAIM_BYTES * 2 + 101 * PLACE_BYTES
    for number in range(100):
        take(book, number)
    assert book.size_bytes == CLAIM_BYTES
    book.expire(CLAIM_NS)
    assert book.size_bytes == 0


def test_estimate_of_a_claim_is_what_it_takes() -> None:
    """Within a fifth of what the allocator gives."""
    book = two_agents()
    book.addresses.learn(MAPPED + b"node", "one", 0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(MAX_QUEUED):
        book.add_spans([claim(number, MAPPED + b"node")], 0)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.8 < book.size_bytes / taken < 1.25
