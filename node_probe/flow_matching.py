"""Which request and response a span means that names a flow and an interval; no guess: one answer, or none.

Pure. The rules, each with its reason:
- The span's own request began inside the interval. So where all bursts inside are known, and there is one, it is it.
- All are known where the burst before ended earlier, and nothing was lost or the burst behind has the next number.
- The response is the first that the server sent behind what the request acknowledged, and acknowledges the request.
- Behind a handshake that may be session tickets instead, which have nearly one length, and come before the response.
- Of several streams on a connection any may hide in a burst: so it has to be one whole segment without a follower,
  and each byte before and behind it has to be accounted for by sequence numbers.
"""

from collections.abc import Iterable, Sequence
from enum import Enum

import msgspec

from node_probe.kept_entries import TICKET_SPREAD, KeptBurst
from node_probe.seen_bursts import SeenBurst, SeenDirection

_SEQUENCE, _HALF = 1 << 32, 1 << 31

MAX_TICKETS = 4
"""Records that the kernel walks in a segment."""

FIRST_NUMBERS = 2
"""Bursts of a connection that may be behind the handshake, where it is not known what came before."""


class Verdict(Enum):
    """What a match came to."""

    FOUND = "found"
    AMBIGUOUS = "ambiguous"
    """More than one burst may be meant."""
    INCOMPLETE = "incomplete"
    """A burst may be missing, lost or not yet read."""
    NOTHING = "nothing"
    """No request began inside."""


class Found(msgspec.Struct, frozen=True):
    """A burst, and where it stands."""

    direction: SeenDirection
    at: int

    @property
    def seen(self) -> SeenBurst:
        """Return the burst with its attempts."""
        return self.direction.bursts[self.at]

    @property
    def burst(self) -> KeptBurst:
        """Return what its first attempt tells."""
        return self.seen.burst


class Match(msgspec.Struct, frozen=True):
    """A request and its response, as far as they were found."""

    verdict: Verdict
    request: Found | None = None
    response: Found | None = None
    """None where the server sent nothing inside the interval after the request."""


class Interval(msgspec.Struct, frozen=True):
    """What is looked at."""

    start_ns: int
    end_ns: int
    is_whole: bool
    """Whether the node lost no record of this time."""
    is_one_at_a_time: bool
    """Whether the connection has one request at a time."""
    is_final: bool
    """Whether nothing is waited for any more."""


class _RefusedError(Exception):
    """There is no answer."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def match_interval(
    requests: Sequence[SeenDirection], responses: Sequence[SeenDirection], interval: Interval
) -> Match:
    """Return what an interval means, of the directions from the client and of those to it."""
    try:
        request = _find_request(requests, interval)
        _require(not _may_follow_hidden(request, responses))
        judge = _judge_single if interval.is_one_at_a_time else _judge_streams
        return Match(Verdict.FOUND, request, judge(request, responses, interval))
    except _RefusedError as error:
        return Match(error.verdict)


def _require(condition: bool, verdict: Verdict = Verdict.AMBIGUOUS) -> None:  # noqa: FBT001 - a verb's object
    if not condition:
        raise _RefusedError(verdict)


def _find_request(requests: Sequence[SeenDirection], interval: Interval) -> Found:
    inside = [Found(seen, at) for seen in requests for at in seen.find_inside(interval.start_ns, interval.end_ns)]
    _require(bool(inside), Verdict.NOTHING)
    _require(len(inside) == 1)
    found = inside[0]
    # Else the span's own request may be a follower in the burst before: a server may answer before it has all.
    _require(found.burst.previous_last_ns < interval.start_ns or found.burst.is_after_handshake)
    is_last = found.seen.is_next(found.direction.after(found.at))
    _require(interval.is_whole or (is_last and len(requests) == 1), Verdict.INCOMPLETE)
    return found


def _may_follow_hidden(request: Found, responses: Iterable[SeenDirection]) -> bool:
    """Return whether the connection's first request may have shared a segment with the handshake's last record.

    Over TLS 1.2 a server sends no data before it has one, so data before the first burst answered what was not seen.
    """
    if not (request.burst.is_after_handshake and request.burst.number == 1):
        return False
    early = (seen for answer in responses for seen in answer.bursts if seen.first_ns < request.seen.first_ns)
    return any(seen.burst.is_after_handshake_1_2 for seen in early)


def _judge_single(request: Found, responses: Sequence[SeenDirection], interval: Interval) -> Found | None:
    """Return the response where there is one request at a time: the server's first bytes behind the request."""
    is_first = request.burst.is_after_handshake
    if is_first:
        # What begins with a record may still be the handshake, and the request its follower.
        _require_single(request, interval)
    if request.direction.is_followed(request.at, is_whole=interval.is_whole) is not False:
        _require(_is_behind_all(request, responses))
    if not _list_answers(request, responses, interval):
        # What was answered inside may be the span's own request, which hid in a burst of the one before.
        _require(not is_first and not any(seen.find_inside(interval.start_ns, interval.end_ns) for seen in responses))
        _require(interval.is_whole or interval.is_final, Verdict.INCOMPLETE)
        return None
    response = _find_answer(request.burst, responses, interval)
    _require(response.seen.first_ns > request.seen.first_ns)
    _require(not is_first or response.burst.ack == request.burst.end)
    # One record alone may be a ticket too, whose response never came; those of TLS 1.2 are no data (RFC 5077).
    is_data = response.burst.is_after_handshake_1_2 or not response.burst.has_alike_records
    _require(is_data or not _may_be_tickets(response, request.burst))
    return response


def _judge_streams(request: Found, responses: Sequence[SeenDirection], interval: Interval) -> Found:
    """Return the response where there may be several streams: both are the only segments of their ways inside."""
    answers = _list_answers(request, responses, interval)
    _require(len(answers) == 1, Verdict.AMBIGUOUS if answers or interval.is_whole else Verdict.INCOMPLETE)
    response = answers[0]
    is_last = response.seen.is_next(response.direction.after(response.at))
    _require(interval.is_whole or is_last, Verdict.INCOMPLETE)
    for found in (request, response):
        _require(found.burst.is_complete)
        _require_single(found, interval)
    _require(_is_contiguous(request, responses, interval.start_ns))
    _require(response.burst.seq == request.burst.ack)
    _require(response.burst.ack == request.burst.end)
    _require(not _may_be_tickets(response, request.burst))
    return response


def _require_single(found: Found, interval: Interval) -> None:
    """Refuse a burst that goes on with another segment which begins with a record, or may do so."""
    is_followed = found.direction.is_followed(found.at, is_whole=interval.is_whole)
    _require(is_followed is not None, Verdict.INCOMPLETE)
    _require(not is_followed)


def _is_contiguous(request: Found, responses: Iterable[SeenDirection], start_ns: int) -> bool:
    """Return whether all that the client sent before the burst was sent before the interval."""
    burst, before = request.burst, request.direction.before(request.at)
    if before is not None and before.is_next(request.seen) and not burst.previous_followers:
        is_early = before.first_ns < start_ns
        if is_early and before.burst.end == burst.seq:
            return True
    early = [seen for answer in responses for seen in answer.bursts if seen.first_ns < start_ns]
    return any(seen.burst.ack == burst.seq for seen in early)


def _is_behind_all(request: Found, responses: Iterable[SeenDirection]) -> bool:
    """Return whether the server had the last request when it answered that, as far as is known.

    Else it answered early, and this burst may be more of the last request, with the span's own as a follower.
    """
    early = [seen for answer in responses for seen in answer.bursts if seen.first_ns < request.seen.first_ns]
    return not early or max(early, key=lambda seen: seen.first_ns).burst.ack == request.burst.seq


def _list_answers(request: Found, responses: Iterable[SeenDirection], interval: Interval) -> list[Found]:
    after_ns = request.seen.first_ns + 1
    return [Found(seen, at) for seen in responses for at in seen.find_inside(after_ns, interval.end_ns)]


def _find_answer(request: KeptBurst, responses: Iterable[SeenDirection], interval: Interval) -> Found:
    """Return what the server sent first of what the client had not acknowledged, and that acknowledges the request.

    Tickets may have crossed the request: then what follows them is looked for.
    """
    expected: int | None = request.ack
    candidates = [Found(seen, at) for seen in responses for at in range(len(seen.bursts))]
    while True:
        found = [each for each in candidates if each.burst.seq == expected and each.seen.first_ns <= interval.end_ns]
        _require(len(found) == 1)
        if 0 < (found[0].burst.ack - request.seq) % _SEQUENCE < _HALF:
            return found[0]
        _require_single(found[0], interval)
        expected = found[0].burst.end
        candidates.remove(found[0])


def _may_be_tickets(response: Found, request: KeptBurst) -> bool:
    """Return whether a burst may be the first behind the handshake.

    A handshake's own segments may begin with such a record too; then the tickets are the burst behind it.
    """
    before = response.direction.before(response.at)
    if response.burst.is_after_handshake:
        return True
    if before is None or not before.is_next(response.seen):
        return response.burst.number <= FIRST_NUMBERS
    if not before.burst.is_after_handshake:
        return False
    if before.burst.ack != request.seq:
        return True
    # What the server sent when it had all up to the request may be a ticket; then the next one, in a segment of its
    # own, may come when the request is there, and acknowledge it.
    is_data = before.burst.is_after_handshake_1_2 or not before.burst.has_alike_records
    return not is_data and not _differs_from_tickets(response.burst, before.burst)


def _differs_from_tickets(response: KeptBurst, tickets: KeptBurst) -> bool:
    """Return whether a record has clearly another length than those before it, however many these are."""
    if not (response.is_one_record and response.is_complete and tickets.is_complete):
        return False
    counts = range(1, MAX_TICKETS + 1)
    return all(abs(tickets.payload_length // n - response.payload_length) > TICKET_SPREAD for n in counts)
