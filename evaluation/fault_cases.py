"""The faults of question 4: what each is, which segment should show it, and how its true delay is known.

Edge: the blocks that hold a fault change the testbed's network, or let others ask.
"""

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from evaluation.fault_runs import Story
from evaluation.segments import BEFORE, QUEUED, SENT_AGAIN, SERVER, Exchange, name_segment
from evaluation.true_times import time_answers, time_departures, time_messages, time_waits
from testbed.faults import BUSY_RULES, busy_core, crowded_service, filled_queue, losing_requests, many_rules
from testbed.observer import Sighting
from testbed.topology import NODE_1, NODE_2, UNDERLAY_DEVICE

RULES = 10_000
DELAY_MS = 20
ASKERS = 2
ASKED_FOR_MS = 5
"""How long each other caller's answer takes: two of them wait in the sidecar, or one waits and one is answered."""

_REQUEST, _RESPONSE = "request", "response"
_BY_WIRE = "two packet sockets, at the client's and the server's veth, see each message pass"
_BY_WAIT = (
    "a packet socket at the server's veth sees the request come, the application's SERVER span says when it began"
)
_BY_ANSWER = "a packet socket at the server's veth sees the request come and its response go"
_BY_DEPARTURE = (
    "the application's CLIENT span says when it began, a packet socket at the client's veth sees the request go"
)


@dataclass(frozen=True)
class Seen:
    """What accounts other than ours tell of one run."""

    exchanges: Sequence[Exchange]
    near: Sequence[Sighting]
    far: Sequence[Sighting]


@dataclass(frozen=True)
class Fault:
    """A fault that can be held while requests are sent."""

    story: Story
    tell_truth: Callable[[Seen], float]
    """Returns the true time, in ns, of what the fault makes longer."""
    hold: Callable[[Path], AbstractContextManager[None]] = lambda _: nullcontext()
    baggage: str = ""
    """Of the requests that are sent with the fault."""
    is_settled: Callable[[Exchange], bool] = lambda _: True
    """Whether all hops of a call have come that may come late."""


def tell_wire(seen: Seen) -> float:
    """Return the median of the requests' time between the veth devices, and of the responses', together."""
    ways = [time_messages(seen.near, seen.far, direction) for direction in (_REQUEST, _RESPONSE)]
    return sum(statistics.median(times) for times in ways)


def tell_wait(seen: Seen) -> float:
    """Return the median of the requests' time in the server's pod before the application began."""
    return statistics.median(time_waits(seen.far, [call.server_start_ns for call in seen.exchanges]))


def tell_answer(seen: Seen) -> float:
    """Return the median of the requests' time in the server's pod until the response left."""
    return statistics.median(time_answers(seen.far, [call.server_start_ns for call in seen.exchanges]))


def tell_departure(seen: Seen) -> float:
    """Return the median of the time from when the application began to ask until the request left its pod."""
    return statistics.median(time_departures(seen.near, [call.client_start_ns for call in seen.exchanges]))


FAULTS = (
    Fault(
        Story(
            "iptables rules",
            f"{RULES} rules in node-1's FORWARD chain, none of which matches",
            _BY_WIRE,
            (
                name_segment("host-forward", _REQUEST, NODE_1.name),
                name_segment("host-forward", _RESPONSE, NODE_1.name),
            ),
        ),
        tell_wire,
        lambda _: many_rules(NODE_1, RULES),
    ),
    Fault(
        Story(
            "queue on the underlay",
            "a token bucket (tbf) of 40 Mbit/s on node-1's NIC, which a neighbour's UDP keeps filled",
            _BY_WIRE,
            (name_segment("underlay", _REQUEST, NODE_1.name),),
        ),
        tell_wire,
        lambda work_dir: filled_queue(NODE_1, UNDERLAY_DEVICE, NODE_2.underlay_address, work_dir),
    ),
    Fault(
        Story(
            "packet loss",
            "node-1 drops each request once (iptables `statistic`), and TCP sends it again",
            _BY_WIRE,
            (SENT_AGAIN,),
        ),
        tell_wire,
        lambda _: losing_requests(),
        is_settled=lambda call: call.segments[SENT_AGAIN] > 0,
    ),
    Fault(
        Story(
            "busy softirq core",
            f"one core does all that node-2 receives, amid a neighbour's UDP of {BUSY_RULES} rules a packet: "
            "a packet waits for that core behind the wire and again behind the tunnel (and behind the server's veth)",
            _BY_WIRE,
            (
                name_segment("underlay", _REQUEST, NODE_1.name),
                name_segment("vxlan-decap", _REQUEST, NODE_2.name),
            ),
        ),
        tell_wire,
        busy_core,
    ),
    Fault(
        Story("slow server", f"cart takes {DELAY_MS} ms more to answer", _BY_ANSWER, (SERVER,)),
        tell_answer,
        baggage=f"delay_ms.cart={DELAY_MS}",
    ),
    Fault(
        Story(
            "slow client",
            f"frontend dawdles {DELAY_MS} ms inside its CLIENT span before it sends",
            _BY_DEPARTURE,
            (BEFORE,),
        ),
        tell_departure,
        baggage=f"delay_ms.client={DELAY_MS}",
    ),
    Fault(
        Story(
            "queueing sidecar",
            f"cart's sidecar has one connection to its application, which {ASKERS} other callers keep busy",
            _BY_WAIT,
            (QUEUED,),
        ),
        tell_wait,
        lambda work_dir: crowded_service(work_dir, ASKERS, f"delay_ms.cart={ASKED_FOR_MS}"),
    ),
)
