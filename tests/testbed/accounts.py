"""Balances a node's books: what an observer saw there, what its probe counted, and what a sink was sent of it.

Every packet that begins a message at a first point of the node must be a transit, or be counted under its reason.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from testbed.deadline import wait_until
from testbed.topology import NODES, Node
from tests.testbed.arrivals import Arrival, Sending
from tests.testbed.programs_under_test import read_probe_metrics
from tests.testbed.talk import LINE_END, SEEN, Message
from tests.testbed.tape import Segment

SETTLE_TIMEOUT_S = 60.0
"""What meets no last point is swept after a second and a quarter."""

SWEPT_FROM_NS = 900_000_000
"""The sweep takes what is a second old, by a clock of some milliseconds."""

_PREFIX = "hopspan_probe_"
_PLAIN = ("transits_started", "transits_emitted", "transits_swept", "transits_sent", "tls_segments")
_REASONED = ("transits_dropped", "messages_untraced", "http2_seen")

_BEGINNINGS = (b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"PATC", b"OPTI", b"CONN", b"TRAC", b"HTTP")
"""What a message can begin with, by RFC 9110 section 9 and RFC 9112 section 4, with PATCH (RFC 5789)."""

_AT_OTHER_POINTS = {"exchange_map_full", "ring_full"}
_BESIDE_MESSAGES = {"http2_requests", "http2_continued", "http2_uncertain", "http2_reset"}
"""What is counted of HTTP/2 besides what becomes of its messages."""

_AFTER_THE_KERNEL = {
    "bad_record",
    "bad_context",
    "unsampled",
    "cpu_ceiling",
    "backlog_full",
    "encode_failed",
    "shutdown",
}

Counts = Counter[str]


@dataclass(frozen=True)
class Account:
    """A node's books over some time.

    `sightings` are the messages of the test that began in packets at a first point, in the order met at each, and
    `finished` the sendings of them that were seen at a last one before they were sent again, `late` those that took
    so long, as on a machine that is too busy to hand a packet on, that they may have been swept before. `alike` is
    how often something began like a message at a first point, whatever it is.
    """

    sightings: Sequence[tuple[Message, Sending]]
    finished: frozenset[Sending]
    late: frozenset[Sending]
    alike: int
    counts: Counts
    arrivals: Sequence[Arrival]

    def select(self, direction: str) -> list[Arrival]:
        """Return the transits of a direction."""
        return [arrival for arrival in self.arrivals if arrival.sending.direction == direction]


def read_counts(node: Node) -> Counts:
    """Return what a node's probe has counted, by the names of its log; what is 0 is left out."""
    counts: Counts = Counter()
    for sample, value in read_probe_metrics(node).items():
        name, _, labels = sample.removeprefix(_PREFIX).replace("_total", "").partition("{")
        if name in _PLAIN:
            counts[name] = int(value)
        elif name in _REASONED:
            counts[labels.partition('"')[2].rstrip('"}')] = int(value)
    return +counts


def read_settled_counts(node: Node) -> Counts:
    """Wait until nothing of a node is on its way any more, and return its counts. Raises TestbedError."""
    found: list[Counts] = []

    def is_settled() -> bool:
        found.append(read_counts(node))
        return is_balanced(found[-1])

    wait_until(is_settled, f"{node.name} did not settle", SETTLE_TIMEOUT_S)
    return found[-1]


def is_balanced(counts: Counts) -> bool:
    """Tell whether each transit that was started has been handed over and sent, or was counted as lost."""
    left = counts["transits_emitted"] + counts["transits_swept"]
    lost = sum(counts[reason] for reason in _AFTER_THE_KERNEL)
    return counts["transits_started"] == left + counts["ring_full"] and left == counts["transits_sent"] + lost


def leave_out_exports(counts: Mapping[str, int]) -> dict[str, int]:
    """Return what a probe counted besides the calls of gRPC by which spans and transits are sent: none has a context.

    How many there are depends on how fast things went. No other request may be without a context.
    """
    left = dict(counts)
    left.pop("http2_uncertain", None)
    calls = left.pop("http2_requests", 0)
    assert left.pop("http2_indexed", 0) + left.pop("request_no_context", 0) == calls
    return left


def open_account(
    node: Node, segments: Iterable[Segment], said: Iterable[Message], counts: Counts, arrivals: Iterable[Arrival]
) -> Account:
    """Return the node's books, out of what the tape, the probe and the sink tell."""
    messages = {message.first_line: message for message in said}
    here = [segment for segment in segments if segment.place.node == node]
    first = [segment for segment in here if segment.place.is_first]
    sendings = [
        (segment, message, name_sending(segment, message))
        for segment in here
        for message in find_messages(segment, messages)
    ]
    # An interim response has its final one's name where they share a segment, and is not measured.
    measured = [(sending, segment) for segment, m, sending in sendings if m.reason_at(node.name) == SEEN]
    begun = list_times((sending, segment) for sending, segment in measured if segment.place.is_first)
    ended = list_times((sending, segment) for sending, segment in measured if not segment.place.is_first)
    finished = {sending: times[0] for sending, times in ended.items() if times[0] < [*begun[sending], inf, inf][1]}
    return Account(
        sightings=[(message, sending) for segment, message, sending in sendings if segment.place.is_first],
        finished=frozenset(finished),
        late=frozenset(s for s, end_ns in finished.items() if begun[s] and end_ns - begun[s][0] >= SWEPT_FROM_NS),
        alike=sum(segment.payload.startswith(_BEGINNINGS) for segment in first)
        + sum(len(find_messages(segment, messages)[1:]) for segment in first),
        counts=counts,
        arrivals=[arrival for arrival in arrivals if arrival.node == node.name],
    )


def list_times(sendings: Iterable[tuple[Sending, Segment]]) -> defaultdict[Sending, list[int]]:
    """Return when each sending passed, in order; more than once where nothing tells it from the next."""
    times: defaultdict[Sending, list[int]] = defaultdict(list)
    for sending, segment in sendings:
        times[sending].append(segment.time_ns)
    return times


def find_messages(segment: Segment, messages: Mapping[bytes, Message]) -> list[Message]:
    """Return the messages that begin in the segment, if one begins it; of further requests one stands for all."""
    begins = [0]
    for line in segment.payload.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    known = [messages.get(segment.payload[begin:].partition(LINE_END)[0] + LINE_END) for begin in begins]
    if known[0] is None:
        return []
    found = [message for message in known if message]
    requests = [message for message in found[1:] if message.direction == "request"]
    return [message for message in found if message not in requests[1:]]


def name_sending(segment: Segment, message: Message) -> Sending:
    """Return what a transit of the message that the segment begins must say of itself."""
    client, port = (
        (segment.source, segment.source_port)
        if message.direction == "request"
        else (segment.destination, segment.destination_port)
    )
    return Sending(message.direction, *message.context, client, port, segment.seq, segment.tsval)


def expect(node: Node, account: Account) -> tuple[Counts, Counter[Sending]]:
    """Return what the observer expects: the probe's counts, and the sendings whose transits the sink was sent."""
    counts: Counts = Counter()
    sent: Counter[Sending] = Counter()
    swept = {arrival.sending for arrival in account.arrivals if arrival.is_partial}
    for message, sending in account.sightings:
        reason = message.reason_at(node.name)
        if reason == SEEN and sending in sent:
            reason = "repeated"  # the same packet again, within one tick of TSval
        if reason != SEEN:
            counts[reason] += 1
            continue
        sent[sending] += 1
        was_swept = sending not in account.finished or (sending in account.late and sending in swept)
        end = "transits_swept" if was_swept else "transits_emitted"
        counts.update(["transits_started", "transits_sent", end])
    return counts, sent


def list_differences(node: Node, account: Account, allowed: Mapping[str, int] | None = None) -> list[str]:
    """Return, a line each, where observer, probe and sink disagree; `allowed` are counts that no message explains."""
    counts, sent = expect(node, account)
    counts += Counter(allowed or {})
    arrived = Counter(arrival.sending for arrival in account.arrivals)
    partial = sum(arrival.is_partial for arrival in account.arrivals)
    lines = [f"seen on the wire and not sent: {sending} {number}" for sending, number in (sent - arrived).items()]
    lines += [f"sent and not on the wire: {sending} {number}" for sending, number in (arrived - sent).items()]
    lines += [
        f"{name}: expected {counts[name]}, counted {account.counts[name]}"
        for name in sorted({*counts, *account.counts})
        if counts[name] != account.counts[name]
    ]
    if partial != counts["transits_swept"]:
        lines.append(f"partial: expected {counts['transits_swept']}, sent {partial}")
    met = count_at_first_points(account.counts)
    if met != account.alike:
        lines.append(f"what begins like a message at first points: {account.alike}, counted there {met}")
    return [f"{node.name}: {line}" for line in lines]


def count_at_first_points(counts: Counts) -> int:
    """Return how many packets that begin like a message the probe says it met at first points."""
    left = {*_PLAIN, *_AT_OTHER_POINTS, *_BESIDE_MESSAGES, *_AFTER_THE_KERNEL}
    return counts["transits_started"] + sum(number for name, number in counts.items() if name not in left)


def check_accounts(accounts: Mapping[str, Account], allowed: Mapping[str, Mapping[str, int]] | None = None) -> None:
    """Check that observer, probe and sink agree on every node to the last packet, `allowed` by node aside."""
    aside = allowed or {}
    differences = [
        line for node in NODES for line in list_differences(node, accounts[node.name], aside.get(node.name))
    ]
    assert not differences, "\n".join(differences)
