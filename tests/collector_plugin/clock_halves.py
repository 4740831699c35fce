"""Messages between node 1 and another, as both halves, by the times that their nodes show in microseconds."""

from collector_plugin.clock_sightings import see_message
from collector_plugin.clocks import ClockRelation, Clocks
from collector_plugin.halves import Half
from node_probe.transit import NodeIdentity
from tests.collector_plugin.builders import NODE_1, RESPONSE, make_half, make_transit


def see_request(far: NodeIdentity, sent_us: int, arrived_us: int, **offset: int) -> tuple[Half, Half]:
    """Return the halves of a request from node 1 to `far`."""
    near = make_half(NODE_1, make_transit({3: sent_us - 10, 4: sent_us}))
    return near, make_half(far, make_transit({5: arrived_us, 6: arrived_us + 10}), **offset)


def see_response(far: NodeIdentity, sent_us: int, arrived_us: int, **offset: int) -> tuple[Half, Half]:
    """Return the halves of a response from `far` to node 1."""
    near = make_half(NODE_1, make_transit({5: arrived_us, 6: arrived_us + 10}, direction=RESPONSE))
    return near, make_half(far, make_transit({3: sent_us - 10, 4: sent_us}, direction=RESPONSE), **offset)


def take_in(clocks: Clocks, halves: tuple[Half, Half], now_ns: int = 0) -> ClockRelation | None:
    """Return the relation after the message was taken in."""
    seen = see_message(*halves)
    clocks.observe(seen, now_ns)
    return clocks.relate(seen)
