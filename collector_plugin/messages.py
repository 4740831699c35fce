"""One message of an exchange on its way through the join: its two halves, and which of their hops were handed out.

Pure. It reads no clock: the join decides when, the message knows what.
"""

from typing import TYPE_CHECKING

import msgspec

from collector_plugin.clocks import ClockSource, relate_clocks
from collector_plugin.halves import Half, Role
from collector_plugin.hops import UNDERLAY, Hop, list_hops, list_wire
from collector_plugin.reasons import TransitReason
from node_probe.transit import Stamp, Transit

if TYPE_CHECKING:
    from collector_plugin.parents import Parent


class ReadyHop(msgspec.Struct, frozen=True):
    """A hop that can become a span, with what its attributes are read from."""

    hop: Hop
    half: Half
    """The half whose node and device the span names; for the wire the sender's."""
    seen: Transit
    """The transit whose addresses the span shows; for the wire the far one's, since those were on the wire."""
    epoch_offset_ns: int
    clock: ClockSource | None
    """How the far node's stamps were placed; None for the near node's own hops."""

    @property
    def device(self) -> Stamp:
        """Return the stamp whose device the span names: where the hop ends, for the wire where it leaves the node."""
        return self.hop.start if self.hop.name == UNDERLAY else self.hop.stop

    @property
    def from_epoch_ns(self) -> int:
        """Return the epoch time of the hop's first stamp."""
        return self.hop.start.monotonic_ns + self.epoch_offset_ns

    @property
    def to_epoch_ns(self) -> int:
        """Return the epoch time of the hop's last stamp."""
        return self.hop.stop.monotonic_ns + self.epoch_offset_ns


class Ready(msgspec.Struct, frozen=True):
    """What a message hands out at one moment."""

    hops: list[ReadyHop]
    """In order of time."""
    halves: list[Half]
    """The halves that are done with it."""


class Message:
    """A message's halves and their state. `near` is the client side, or the one node of a whole message."""

    __slots__ = (
        "_far_done",
        "_far_node",
        "_near_done",
        "_near_node",
        "_wire_done",
        "due_ns",
        "far",
        "first_ns",
        "is_held",
        "is_settled",
        "key",
        "near",
        "parent",
        "parent_key",
    )

    def __init__(self, key: bytes, parent_key: bytes) -> None:
        """Start without halves; `key` is the message key (55 bytes), `parent_key` trace id and span id (24)."""
        self.key = key
        self.parent_key = parent_key
        self.near: Half | None = None
        self.far: Half | None = None
        self.parent: Parent | None = None
        self.first_ns = 0
        """The first stamp known of it, as epoch time: what attempts are ordered by."""
        self.due_ns = 0
        """When the join forgets the message, or gives up what is still pending."""
        self.is_settled = False
        """Whether halves are no longer waited for: what comes is handed out at once."""
        self.is_held = False
        """Whether the far half waits for its clock to be related to the near one."""
        self._near_node: str | None = None
        self._far_node: str | None = None
        self._near_done = self._far_done = self._wire_done = False

    def refuse(self, half: Half) -> TransitReason | None:
        """Return why `half` has no place here, None where it has."""
        known = self._near_node if half.is_near else self._far_node
        if known is not None:
            return TransitReason.DUPLICATE if known == half.origin.node.name else TransitReason.CONFLICT
        # A message that stayed on its node has no other half.
        if half.role is Role.WHOLE and self._far_node is not None:
            return TransitReason.CONFLICT
        return None

    def add(self, half: Half) -> None:
        """Take in `half`, which `refuse` did not."""
        node = half.origin.node.name
        if half.is_near:
            self.near, self._near_node = half, node
        else:
            self.far, self._far_node = half, node
        if half.role is Role.WHOLE:
            self._far_node = node

    @property
    def pending(self) -> list[Half]:
        """Return the halves whose hops were not handed out yet."""
        halves = []
        if self.near is not None and not self._near_done:
            halves.append(self.near)
        if self.far is not None and not self._far_done:
            halves.append(self.far)
        return halves

    @property
    def is_complete(self) -> bool:
        """Tell whether no further half can add hops."""
        if self.near is not None and self.near.role is Role.WHOLE:
            return True
        return self.near is not None and self.far is not None

    def take_ready(self) -> Ready:
        """Hand out the hops that can be and were not yet; sets `is_held` where some cannot."""
        hops: list[ReadyHop] = []
        near, far = self.near, self.far
        before = self.pending
        if near is not None and not self._near_done:
            hops += _list_ready(near, list_hops(near), near.origin.epoch_offset_ns, None)
            self._near_done = True
        if far is not None and near is None and not self._far_done:
            hops += _list_ready(far, list_hops(far), far.origin.epoch_offset_ns, ClockSource.EPOCH)
            self._far_done = True
        if far is not None and near is not None:
            hops += self._take_related(near, far)
        after = self.pending
        halves = [half for half in before if not any(half is other for other in after)]
        return Ready(sorted(hops, key=lambda item: item.from_epoch_ns), halves)

    def count_held(self) -> int:
        """Return how many hops the message holds back for want of a relation between its clocks."""
        if self.near is None or self.far is None or not self.is_held:
            return 0
        far_hops = 0 if self._far_done else len(list_hops(self.far))
        return far_hops + len(list_wire(self.near, self.far, 0))

    def slim(self) -> None:
        """Drop the halves of a message that is done; who reported them stays known."""
        if self.is_complete and not self.is_held:
            self.near = self.far = None

    def _take_related(self, near: Half, far: Half) -> list[ReadyHop]:
        relation = relate_clocks(near, far)
        self.is_held = relation is None
        if relation is None or self._wire_done:
            return []
        offset_ns, source, theta_ns = near.origin.epoch_offset_ns, relation.source, relation.theta_ns
        sender = near if near.role is Role.SENDER else far
        ready = [ReadyHop(hop, sender, far.transit, offset_ns, source) for hop in list_wire(near, far, theta_ns)]
        self._wire_done = True
        if not self._far_done:
            ready += _list_ready(far, list_hops(far, theta_ns), offset_ns, source)
            self._far_done = True
        return ready


def _list_ready(half: Half, hops: list[Hop], epoch_offset_ns: int, clock: ClockSource | None) -> list[ReadyHop]:
    return [ReadyHop(hop, half, half.transit, epoch_offset_ns, clock) for hop in hops]
