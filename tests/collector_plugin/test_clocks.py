"""Which clocks can be related in this version."""

import pytest

from collector_plugin.clocks import ClockRelation, ClockSource, relate_clocks
from node_probe.wire_batch import NodeIdentity
from tests.collector_plugin.builders import FOREIGN_NODE, NODE_1, NODE_2, REQUEST, RESPONSE, make_half, make_transit

SAME = ClockRelation(ClockSource.SAME, 0)


@pytest.mark.parametrize("direction", [REQUEST, RESPONSE])
@pytest.mark.parametrize(
    ("far_node", "sent_us", "arrived_us", "expected"),
    [
        (NODE_2, 10, 110, SAME),
        (NODE_2, 10, 10, SAME),
        (NODE_2, 10, 9, None),
        (FOREIGN_NODE, 10, 110, None),
    ],
    ids=["one clock", "no time on the wire", "cloned machines", "two clocks"],
)
def test_clocks_are_related_by_their_id(
    direction: int, far_node: NodeIdentity, sent_us: int, arrived_us: int, expected: ClockRelation | None
) -> None:
    """Equal ids are one clock, unless the packet would arrive before it left; different ids tell nothing yet."""
    way = REQUEST if direction == REQUEST else RESPONSE
    sender = make_transit({3: 0, 4: sent_us}, direction=way)
    receiver = make_transit({5: arrived_us, 6: 200}, direction=way)
    near, far = (sender, receiver) if way is REQUEST else (receiver, sender)
    assert relate_clocks(make_half(NODE_1, near), make_half(far_node, far)) == expected
