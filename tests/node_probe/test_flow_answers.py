"""Claims and their answers as stories of a connection: bursts that were read, a claim, and what becomes of it."""

from typing import Any

import msgspec
import pytest

from hopspan.flow_claims import Claim, ExactClaim, IntervalClaim
from node_probe.counters import ClaimOutcome
from node_probe.epoch_history import EpochHistory
from node_probe.flow_answers import MAX_WAITING, FlowAnswers
from node_probe.kept_flows import KeptFlows
from node_probe.loss_history import LossHistory
from node_probe.transit import Direction
from tests.node_probe.bursts import CLIENT, CLIENT_PORT, SERVER, SERVER_PORT, make_burst
from tests.node_probe.epochs import read_epoch
from tests.node_probe.records import read_transit

S, MS = 10**9, 10**6
EPOCH_NS = 1_700_000_000 * S
T = 100 * S
"""When the span began, CLOCK_MONOTONIC; it takes 10 ms."""

CLAIM = IntervalClaim(
    bytes(range(1, 17)), bytes(range(1, 9)), 1, CLIENT, CLIENT_PORT, SERVER, SERVER_PORT,
    EPOCH_NS + T, EPOCH_NS + T + 10 * MS, is_one_at_a_time=True,
)  # fmt: skip

REQUEST: dict[str, Any] = {"seq": 1000, "ack": 5000, "number": 7, "previous_last_ns": T - S}
RESPONSE: dict[str, Any] = {"is_coming": True, "seq": 5000, "ack": 1105, "number": 7, "previous_last_ns": T - S}


class Node:
    """A node whose agent has read some records."""

    def __init__(self, *records: bytes, lost: int = 0) -> None:
        self.kept, epochs, losses = KeptFlows(), EpochHistory(), LossHistory()
        epochs.observe(read_epoch(T - 50 * S, EPOCH_NS, 200))
        losses.observe(T - 50 * S, T - 50 * S, 0)
        self.kept.keep(records)
        losses.observe(T + 5 * S, T + 5 * S, lost)
        self.answers = FlowAnswers(self.kept, epochs, losses)
        self.epochs = epochs

    def ask(self, claim: Claim = CLAIM) -> tuple[ClaimOutcome, list[tuple[Direction, int]]]:
        """Return what becomes of a claim in two seconds, and what is answered."""
        outcomes, records = [], []
        for now_ns in range(T + 5 * S, T + 8 * S, 100 * MS):
            found = self.answers.answer([claim] if not now_ns - T - 5 * S else [], now_ns)
            outcomes += found.outcomes
            records += found.records
        (outcome,) = outcomes
        transits = [read_transit(record) for record in records]
        return outcome, [(transit.direction, transit.seq) for transit in transits]


BOTH = (ClaimOutcome.ANSWERED, [(Direction.REQUEST, 1000), (Direction.RESPONSE, 5000)])
AMBIGUOUS: tuple[Any, Any] = (ClaimOutcome.AMBIGUOUS, [])
INCOMPLETE: tuple[Any, Any] = (ClaimOutcome.INCOMPLETE, [])
STREAMS = msgspec.structs.replace(CLAIM, is_one_at_a_time=False)


def request(at_ns: int = T + MS, **changes: Any) -> bytes:
    return make_burst(at_ns, **REQUEST | changes)


def response(at_ns: int = T + 5 * MS, **changes: Any) -> bytes:
    return make_burst(at_ns, **RESPONSE | changes)


TICKET = response(ack=1000, number=1, place=1)
EARLIER = request(T - S, seq=895, ack=4000, number=6, previous_last_ns=T - 2 * S)
FOLLOWER = make_burst(T + 2 * MS, kind=2, seq=1000, number=7)
LATER = request(T + S, seq=1105, ack=6000, number=8, previous_last_ns=T + MS)


@pytest.mark.parametrize(
    ("records", "claim", "expected"),
    [
        pytest.param([request(), response()], CLAIM, BOTH, id="one request and its response"),
        pytest.param([request(T - 900), response(T + 10 * MS + 900)], CLAIM, BOTH, id="a microsecond outside"),
        pytest.param([request(T - 2000), response()], CLAIM, (ClaimOutcome.NOT_FOUND, []), id="before the interval"),
        pytest.param([request()], CLAIM, (ClaimOutcome.REQUEST_ALONE, BOTH[1][:1]), id="no response came"),
        pytest.param([request(), LATER, response()], CLAIM, BOTH, id="another one behind the interval"),
        pytest.param(
            [request(), request(T + 6 * MS, seq=1105, number=8, previous_last_ns=T + MS), response()],
            CLAIM, AMBIGUOUS, id="two requests",
        ),
        pytest.param([request(), response(seq=5100)], CLAIM, AMBIGUOUS, id="bytes before the response are missing"),
        pytest.param([request(), response(ack=1000)], CLAIM, AMBIGUOUS, id="it does not acknowledge the request"),
        pytest.param([request(previous_last_ns=T + 1), response()], CLAIM, AMBIGUOUS, id="a follower may hide one"),
        pytest.param(
            [request(), request(T + 2 * MS, tsval=9), response()],
            CLAIM, (BOTH[0], [(Direction.REQUEST, 1000), *BOTH[1]]), id="sent again: both attempts",
        ),
        pytest.param(
            [request(seen=0b11110000), response()], CLAIM, (ClaimOutcome.NOT_FOUND, []), id="a client elsewhere",
        ),
        pytest.param(
            [request(place=1), response(place=1, number=1)],
            CLAIM, AMBIGUOUS, id="behind a handshake one record may be a ticket",
        ),
        pytest.param(
            [request(place=1), response(place=2, number=1)],
            CLAIM, BOTH, id="behind a handshake of TLS 1.2 there are no tickets",
        ),
        pytest.param(
            [request(place=2), response(place=1, number=1)],
            CLAIM, AMBIGUOUS, id="a client's change of cipher does not tell the version",
        ),
        pytest.param(
            [request(), response(place=1, number=1, records=(250, 250, 80))],
            CLAIM, BOTH, id="tickets and the response in one segment",
        ),
        pytest.param(
            [request(), TICKET, response(T + 6 * MS, seq=5105, number=2, records=(200,))],
            CLAIM, (BOTH[0], [(Direction.REQUEST, 1000), (Direction.RESPONSE, 5105)]), id="tickets cross the request",
        ),
        pytest.param(
            [request(place=1), TICKET, response(T + 6 * MS, seq=5105, number=2)],
            CLAIM, AMBIGUOUS, id="a second ticket may come when the request is there",
        ),
        pytest.param(
            [request(place=1), TICKET, response(T + 6 * MS, seq=5105, number=2, records=(116,))],
            CLAIM, AMBIGUOUS, id="it may be a block longer",
        ),
        pytest.param(
            [request(), TICKET, response(T + 6 * MS, seq=5105, number=2)],
            CLAIM, AMBIGUOUS, id="also where the client's last record of the handshake was its first burst",
        ),
        pytest.param(
            [request(place=1), TICKET, response(T + 6 * MS, seq=5105, number=2, records=(140,))],
            CLAIM, (BOTH[0], [(Direction.REQUEST, 1000), (Direction.RESPONSE, 5105)]), id="no ticket has that length",
        ),
        pytest.param(
            [request(), response(place=1, number=1, records=(250, 266))],
            CLAIM, AMBIGUOUS, id="tickets of a handshake may differ by a block",
        ),
        pytest.param(
            [response(T - S, seq=4900, ack=1000, number=6, place=1, records=(50, 50, 9)), request(), response()],
            CLAIM, BOTH, id="what is more than tickets was the response before",
        ),
        pytest.param(
            [response(T - S, seq=4895, ack=1000, number=6, place=2), request(place=1, number=1), response()],
            CLAIM, AMBIGUOUS, id="the first request may have come with the handshake's last record",
        ),
        pytest.param(
            [response(T - S, seq=4895, ack=1000, number=6, place=2), request(place=1, number=2), response()],
            CLAIM, BOTH, id="that one had a burst of its own",
        ),
        pytest.param(
            [response(T - S, seq=4900, ack=1000, number=6), request(), FOLLOWER, response()],
            CLAIM, BOTH, id="a request with a body",
        ),
        pytest.param(
            [response(T - S, seq=4900, ack=900, number=6), request(), FOLLOWER, response()],
            CLAIM, AMBIGUOUS, id="more of the last request, which was answered early",
        ),
        pytest.param([EARLIER, request(), response()], STREAMS, BOTH, id="streams: all bytes accounted for"),
        pytest.param([request(), response()], STREAMS, AMBIGUOUS, id="streams: unknown bytes before the request"),
        pytest.param(
            [EARLIER, request(), FOLLOWER, response()],
            STREAMS, AMBIGUOUS, id="streams: a follower",
        ),
        pytest.param([EARLIER, request(), response(records=(100, 9))], STREAMS, BOTH, id="streams: two records"),
        pytest.param(
            [EARLIER, request(), response(payload_length=90)], STREAMS, AMBIGUOUS, id="streams: goes on unseen",
        ),
        pytest.param([EARLIER, request(), response(ack=1200)], STREAMS, AMBIGUOUS, id="streams: more was sent"),
    ],
)  # fmt: skip
def test_intervals(records: list[bytes], claim: Claim, expected: tuple[Any, Any]) -> None:
    """Each rule of flow_matching has a story where it matters."""
    outcome, transits = Node(*records).ask(claim)
    if expected[0] is ClaimOutcome.NOT_FOUND:
        assert outcome in {ClaimOutcome.NOT_FOUND, ClaimOutcome.UNKNOWN_FLOW}
    else:
        assert outcome is expected[0]
    assert transits == expected[1]


def test_losses_are_made_up_for_by_the_next_number() -> None:
    """Where the node lost records the burst behind has to show that none is missing between."""
    assert Node(request(), response(), lost=1).ask() == INCOMPLETE
    assert Node(request(), response(), LATER, lost=1).ask() == BOTH
    gap = request(T + S, seq=1300, number=9)
    assert Node(request(), response(), gap, lost=1).ask() == INCOMPLETE


def test_server_has_to_be_that_of_the_claim() -> None:
    """A client's port may be used towards several servers; where the claim names none, one has to be alone."""
    other = request(server_port=443, number=3)
    anywhere = msgspec.structs.replace(CLAIM, server_address=bytes(16), server_port=0)
    assert Node(request(), other, response()).ask() == BOTH
    assert Node(request(), other, response()).ask(anywhere) == AMBIGUOUS
    assert Node(request(), response()).ask(anywhere) == BOTH
    assert Node(other, response()).ask()[0] is ClaimOutcome.UNKNOWN_FLOW


def test_far_packet_is_named_exactly() -> None:
    """By direction, client, sequence number and TSval: no clock is needed, and a late packet is waited for."""
    node = Node(request(tsval=3), response(tsval=4))
    far = ExactClaim(CLAIM.trace_id, CLAIM.parent_id, 1, 1, CLIENT, CLIENT_PORT, 5000, 4)
    assert node.ask(far) == (ClaimOutcome.EXACT, [(Direction.RESPONSE, 5000)])
    assert node.ask(msgspec.structs.replace(far, tsval=5)) == (ClaimOutcome.NOT_FOUND, [])
    assert node.ask(msgspec.structs.replace(far, client_port=5))[0] is ClaimOutcome.UNKNOWN_FLOW
    late = Node()
    assert late.answers.answer([far], T).outcomes == []
    late.kept.keep([response(tsval=4)])
    assert late.answers.answer([], T + S).outcomes == [ClaimOutcome.EXACT]


def test_step_of_the_clock_within_a_span() -> None:
    """A second's step within the span: both offsets may be meant, so what lies between them counts, and no more."""
    node = Node(request(), response())
    node.epochs.observe(read_epoch(T - MS, EPOCH_NS, 200))
    node.epochs.observe(read_epoch(T + 2 * MS, EPOCH_NS + S, 200))
    stepped = msgspec.structs.replace(CLAIM, end_ns=CLAIM.end_ns + S)
    assert node.ask(stepped) == BOTH
    assert node.ask(msgspec.structs.replace(CLAIM, start_ns=0, end_ns=1))[0] is not ClaimOutcome.ANSWERED


def test_flood_of_claims_is_bounded() -> None:
    """Beyond so many waiting claims the oldest are given up, and counted."""
    node = Node()
    claims: list[Claim] = [CLAIM] * MAX_WAITING
    assert node.answers.answer(claims, T).outcomes == []
    assert len(node.answers.answer(claims, T).outcomes) == 0
    rounds = [node.answers.answer([], T + at * MS) for at in range(0, 3000, 100)]
    assert sum(len(one.outcomes) for one in rounds) == 2 * MAX_WAITING
