"""Two nodes with clocks of their own, the wire between them, and what passes on it: with the truth beside it.

Real time is in nanoseconds from the story's beginning. A clock runs by pieces of constant rate.
"""

import bisect
import random
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from collector_plugin.clock_sightings import Sighting, see_message
from collector_plugin.halves import Half, Origin
from collector_plugin.places import Place
from node_probe.transit import Direction, NodeIdentity, Point, Stamp
from tests.collector_plugin.builders import (
    EPOCH_NS,
    INTERFACES,
    MS,
    REQUEST,
    RESPONSE,
    SECOND,
    US,
    make_node,
    make_raw,
    make_transit,
)

PPB = 1_000_000_000
Wire = Callable[[random.Random], int]
"""Draws how long a packet is on its way."""

SENT, RECEIVED = (Point.OVERLAY_EGRESS, Point.NIC_EGRESS), (Point.NIC_INGRESS, Point.OVERLAY_INGRESS)
STACK_NS = 7 * US
"""Between the two points of a node."""


class SimulatedClock:
    """A node's CLOCK_MONOTONIC."""

    def __init__(self, offset_ns: int, rates_ppb: Sequence[tuple[int, int]]) -> None:
        """Show `offset_ns` at the beginning; from each time of `rates_ppb` on run faster by so many parts in 10^9."""
        self._starts: list[tuple[int, int, int]] = []
        for at_ns, rate_ppb in rates_ppb:
            self._starts.append((at_ns, self.read(at_ns) if self._starts else offset_ns, rate_ppb))

    def read(self, real_ns: int) -> int:
        """Return what the clock shows at `real_ns`."""
        index = max(0, bisect.bisect_right(self._starts, (real_ns, 1 << 63, 0)) - 1)
        at_ns, shown_ns, rate_ppb = self._starts[index]
        return shown_ns + (real_ns - at_ns) + (real_ns - at_ns) * rate_ppb // PPB


class SimulatedNode(msgspec.Struct, frozen=True):
    """A node, and its clock."""

    identity: NodeIdentity
    clock: SimulatedClock
    wall_error_ns: int = 0
    """Its wall clock minus the real time."""

    def stamp(self, points: Iterable[Point], at_ns: int, **fields: int | Direction) -> Half:
        """Return the half that this node reports of a packet that meets `points` from `at_ns` of real time on."""
        stamps = tuple(Stamp(point, 2, self.clock.read(at_ns + n * STACK_NS)) for n, point in enumerate(points))
        transit = make_transit({4: 0}, **fields)  # type: ignore[arg-type]  # each is of the type its name asks for
        # As the probe reads it: the wall clock minus the monotonic one.
        offset_ns = EPOCH_NS + at_ns + self.wall_error_ns - self.clock.read(at_ns)
        origin = Origin(Place(self.identity, INTERFACES), offset_ns)
        return Half(make_raw(msgspec.structs.replace(transit, stamps=stamps)), origin)


class Passage(msgspec.Struct, frozen=True):
    """A message that crossed the wire."""

    near: Half
    far: Half
    thetas_ns: tuple[int, ...]
    """The far node's clock minus the near node's, at each of the far node's stamps."""
    real_ns: int
    """When it arrived."""
    wall_offset_ns: int
    """The far node's wall clock minus the near node's."""

    def see(self) -> Sighting:
        """Return what it tells of the clocks."""
        return see_message(self.near, self.far)


def make_nodes(
    offset_ns: int = 0,
    rates_ppb: Sequence[tuple[int, int]] = ((0, 0),),
    ids: tuple[str, str] = ("boot-a", "boot-b"),
    wall_error_ns: int = 0,
) -> tuple[SimulatedNode, SimulatedNode]:
    """Return two nodes; the second one's clock differs by `offset_ns` at first, and runs by `rates_ppb`."""
    start_ns = 20 * 3600 * SECOND
    return (
        SimulatedNode(make_node("node-1", ids[0]), SimulatedClock(start_ns, ((0, 0),))),
        SimulatedNode(make_node("node-2", ids[1]), SimulatedClock(start_ns + offset_ns, rates_ppb), wall_error_ns),
    )


def cross_wire(
    client: SimulatedNode, server: SimulatedNode, direction: Direction, seq: int, times_ns: tuple[int, int]
) -> Passage:
    """Return the message that leaves its node at the first of `times_ns`, and arrives at the second."""
    sender, receiver = (client, server) if direction is REQUEST else (server, client)
    tsval = 1 + times_ns[0] // MS
    sent = sender.stamp(SENT, times_ns[0] - STACK_NS, direction=direction, seq=seq, tsval=tsval)
    received = receiver.stamp(RECEIVED, times_ns[1], direction=direction, seq=seq, tsval=tsval)
    near, far = (sent, received) if direction is REQUEST else (received, sent)
    far_ns = (times_ns[0] - STACK_NS, times_ns[0]) if far is sent else (times_ns[1], times_ns[1] + STACK_NS)
    thetas_ns = tuple(server.clock.read(at_ns) - client.clock.read(at_ns) for at_ns in far_ns)
    return Passage(near, far, thetas_ns, times_ns[1], server.wall_error_ns - client.wall_error_ns)


def exchange(
    client: SimulatedNode, server: SimulatedNode, at_ns: int, wires: tuple[Wire, Wire], rng: random.Random
) -> tuple[Passage, Passage]:
    """Return request and response of an exchange; `wires` are those from the first node to the second, and back."""
    seq = rng.getrandbits(32)
    there, back = wires if client.identity.name < server.identity.name else wires[::-1]
    arrived_ns = at_ns + there(rng)
    answered_ns = arrived_ns + 3 * STACK_NS + int(rng.expovariate(1 / (2 * MS)))
    request = cross_wire(client, server, REQUEST, seq, (at_ns, arrived_ns))
    response = cross_wire(client, server, RESPONSE, seq, (answered_ns, answered_ns + back(rng)))
    return request, response


def draw_times(rng: random.Random, per_s: float, until_ns: int, idle_ns: int = 0) -> Iterator[int]:
    """Yield random times of `per_s` exchanges a second; one in fifty is followed by a gap of up to `idle_ns`."""
    at_ns = 0
    while True:
        at_ns += 1 + int(rng.expovariate(per_s / SECOND))
        if idle_ns and rng.random() < 1 / 50:
            at_ns += rng.randrange(idle_ns)
        if at_ns >= until_ns:
            return
        yield at_ns


def steady(base_ns: int) -> Wire:
    """Return a wire that always takes the same time."""
    return lambda _: base_ns


def jittery(base_ns: int, mean_ns: int, rare_ns: int = 0) -> Wire:
    """Return a wire with an exponential delay on top, and one packet in fifty with a longer one of mean `rare_ns`."""

    def draw(rng: random.Random) -> int:
        rare = rng.expovariate(1 / rare_ns) if rare_ns and rng.random() < 1 / 50 else 0.0
        return base_ns + int(rng.expovariate(1 / mean_ns) + rare)

    return draw


def heavy(base_ns: int, scale_ns: int) -> Wire:
    """Return a wire whose delays have a heavy tail, up to 3 s: retransmissions below, softirq stalls."""
    return lambda rng: base_ns + min(3 * SECOND, int(scale_ns * (rng.paretovariate(1.1) - 1)))


def queued(base_ns: int, service_ns: int) -> Wire:
    """Return a wire behind a queue that fills and drains: what follows each other waits alike."""
    waiting_ns = 0

    def draw(rng: random.Random) -> int:
        nonlocal waiting_ns
        waiting_ns = max(0, waiting_ns + rng.randrange(-service_ns, service_ns))
        return base_ns + waiting_ns

    return draw
