"""A join and its time, as tests tell stories about it; the transits and the parent that they are about."""

from typing import Any

from collector_plugin.join import Join
from collector_plugin.join_settings import JoinSettings
from collector_plugin.network_span import Emission, NetworkSpan
from collector_plugin.reasons import HopReason, TransitReason
from collector_plugin.span_walk import SPAN_KIND_CLIENT, SpanTimes
from node_probe.transit import Transit
from node_probe.wire_batch import NodeIdentity
from tests.collector_plugin.builders import (
    EPOCH_NS,
    MS,
    NODE_1,
    NODE_2,
    PARENT_KEY,
    RESPONSE,
    SECOND,
    make_batch,
    make_transit,
)

PARENT: SpanTimes = (PARENT_KEY, SPAN_KIND_CLIENT, EPOCH_NS, EPOCH_NS + 40 * MS)

NEAR = make_transit({2: 1000, 3: 1010, 4: 1020})
FAR = make_transit({5: 1120, 6: 1130, 7: 1140})
WHOLE = make_transit({2: 1000, 7: 1010})
PASSING = make_transit({5: 1000, 4: 1010})

ANSWER_FAR = make_transit({2: 9000, 3: 9010, 4: 9020}, direction=RESPONSE, seq=9)
ANSWER_NEAR = make_transit({5: 9120, 6: 9130, 7: 9140}, direction=RESPONSE, seq=9)
"""With NEAR and FAR an exchange, of which each direction takes 140 us in the network."""

NEAR_HOPS = ["host-forward", "vxlan-encap"]
FAR_HOPS = ["vxlan-decap", "host-forward"]
WIRE = ["underlay"]
REQUEST_HOPS = NEAR_HOPS + WIRE + FAR_HOPS


class Story:
    """A join and its time."""

    def __init__(self, **changes: Any) -> None:
        """Begin with the defaults but for `changes`."""
        base = {"window_ns": 60 * SECOND, "settle_ns": 2 * SECOND, "min_duration_ns": 0, "max_per_trace": 1000}
        self.join = Join(JoinSettings(**{**base, **changes}))

    def see_parent(self, at_s: float, parent: SpanTimes = PARENT) -> list[str]:
        """Let an application span arrive; return the names of the hops that come out at that moment."""
        self.join.add_parents(b"resource", [parent], int(at_s * SECOND))
        return self.look(at_s)

    def see(self, at_s: float, node: NodeIdentity, *transits: Transit) -> list[str]:
        """Let transits of `node` arrive; return the names of the hops that come out at that moment."""
        self.join.add_batch(make_batch(node, *transits), int(at_s * SECOND))
        return self.look(at_s)

    def see_both(self, at_s: float, *transits: Transit) -> list[NetworkSpan]:
        """Let the nodes report the transits above, each its own; return the spans that come out at that moment."""
        for transit in transits:
            node = NODE_1 if transit in (NEAR, ANSWER_NEAR, WHOLE) else NODE_2
            self.join.add_batch(make_batch(node, transit), int(at_s * SECOND))
        return [span for emission in self.join.take_due(int(at_s * SECOND)) for span in emission.spans]

    def look(self, at_s: float) -> list[str]:
        """Return the names of the hops that come out at `at_s`."""
        return list_names(self.join.take_due(int(at_s * SECOND)))

    @property
    def released(self) -> dict[TransitReason, int]:
        """Return the reasons that occurred."""
        return {reason: number for reason, number in self.join.released.items() if number}

    @property
    def dropped(self) -> dict[HopReason, int]:
        """Return the reasons that occurred."""
        return {reason: number for reason, number in self.join.dropped.items() if number}


def list_names(emissions: list[Emission]) -> list[str]:
    """Return the names of all spans."""
    return [span.name for emission in emissions for span in emission.spans]
