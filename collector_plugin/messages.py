"""One message of an exchange on its way through the join: its two halves, and which of their hops were handed out.

Pure. It reads no clock: the join decides when, the message knows what.
"""

from collector_plugin.clocks import ClockRelation, Clocks, ClockSource
from collector_plugin.halves import Half, PackedHalf, Role, pack_half
from collector_plugin.hops import UNDERLAY, Hop, list_hops, list_wire
from collector_plugin.parents import NO_PARENT, Parent
from collector_plugin.ready_hops import Ready, ReadyHop
from collector_plugin.reasons import TransitReason

PARENT_KEY_BYTES = 24
"""A message key begins with its parent's: trace id and span id."""


class Message:
    """A message's halves and their state. `near` is the client side, or the one node of a whole message."""

    __slots__ = (
        "_far_done",
        "_far_node",
        "_near_done",
        "_near_node",
        "_packed_far",
        "_packed_near",
        "_wire_done",
        "due_ns",
        "far",
        "first_ns",
        "is_held",
        "is_patient",
        "is_settled",
        "key",
        "near",
        "network_ns",
        "parent",
    )

    def __init__(self, key: bytes, parent: Parent) -> None:
        """Start without halves; `key` is the message key (55 bytes)."""
        self.key = key
        self.parent = parent
        self.near: Half | None = None
        self.far: Half | None = None
        """None where it is not there, or done with, or packed."""
        self._packed_near: PackedHalf | None = None
        self._packed_far: PackedHalf | None = None
        self.first_ns = 0
        """The first stamp known of it, as epoch time: what attempts are ordered by."""
        self.due_ns = 0
        """When the join forgets the message, or gives up what is still pending."""
        self.is_settled = False
        """Whether halves are no longer waited for: what comes is handed out at once."""
        self.is_held = False
        """Whether the far half waits for its clock to be related to the near one."""
        self.is_patient = True
        """Whether it waits also where the clocks are related, and soon may be better."""
        self.network_ns = 0
        """Durations of the hops that it handed out, together."""
        self._near_node: str | None = None
        self._far_node: str | None = None
        self._near_done = self._far_done = self._wire_done = False

    @property
    def parent_key(self) -> bytes:
        """Return trace id and span id of the context (24 bytes)."""
        return self.key[:PARENT_KEY_BYTES]

    def name_nodes(self, ready: ReadyHop) -> tuple[str, str]:
        """Return the names of the nodes where one of its hops begins and ends."""
        node = ready.half.origin.node.name
        if ready.hop.name != UNDERLAY:
            return node, node
        other = self._far_node if ready.half.is_near else self._near_node
        return node, other or node

    @property
    def is_for_another_peer(self) -> bool:
        """Tell whether the parent says that it called another address than the message went to, or came from.

        Only its own node knows: behind DNAT the address is another.
        """
        peer, near = self.parent.peer, self.near
        return bool(peer) and near is not None and near.transit.server_address != peer

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
    def has_pending(self) -> bool:
        """Tell whether anything of it was not handed out and may still be."""
        return (
            self.is_held
            or (not self._near_done and (self.near is not None or self._packed_near is not None))
            or (not self._far_done and (self.far is not None or self._packed_far is not None))
        )

    @property
    def is_complete(self) -> bool:
        """Tell whether no further half can add hops."""
        if self.near is not None and self.near.role is Role.WHOLE:
            return True
        return self.near is not None and self.far is not None

    def take_ready(self, clocks: Clocks) -> Ready:
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
            hops += self._take_related(near, far, clocks)
        after = self.pending
        halves = [half for half in before if not any(half is other for other in after)]
        return Ready(sorted(hops, key=_read_start), halves)

    def count_held(self) -> int:
        """Return how many hops the message holds back for want of a relation between its clocks."""
        if self.near is None or self.far is None or not self.is_held:
            return 0
        far_hops = 0 if self._far_done else len(list_hops(self.far))
        return far_hops + len(list_wire(self.near, self.far, 0))

    def slim(self) -> None:
        """Drop the halves of a message that is done; who reported them stays known. Pack those of one that waits."""
        if self.is_complete and not self.is_held:
            self.near = self.far = None
            self.parent = NO_PARENT
        if self.near is not None:
            self._packed_near = pack_half(self.near)
            self.near = None if self._packed_near is not None else self.near
        if self.far is not None:
            self._packed_far = pack_half(self.far)
            self.far = None if self._packed_far is not None else self.far

    def unpack(self) -> None:
        """Make its halves ready for use, before anything is asked of it or added."""
        if self._packed_near is not None:
            self.near, self._packed_near = self._packed_near.unpack(self.parent_key), None
        if self._packed_far is not None:
            self.far, self._packed_far = self._packed_far.unpack(self.parent_key), None

    def relate(self, clocks: Clocks) -> ClockRelation | None:
        """Return the relation of its halves' clocks, None where it waits for one, or has but one half."""
        if self.near is None or self.far is None:
            return None
        relation = clocks.relate(self.near, self.far)
        return None if relation is None or (self.is_patient and not relation.is_fresh) else relation

    def abandon(self) -> None:
        """Hand out nothing, now or later; who reported the halves stays known."""
        self.abandon_held()
        self._near_done = True

    def abandon_held(self) -> None:
        """Wait no longer for the clocks: what was held is never handed out."""
        self.is_held = False
        self._wire_done = self._far_done = True

    def _take_related(self, near: Half, far: Half, clocks: Clocks) -> list[ReadyHop]:
        if self._wire_done:
            return []
        relation = self.relate(clocks)
        self.is_held = relation is None
        if relation is None:
            return []
        theta_ns = relation.theta_ns
        sender = near if near.role is Role.SENDER else far
        offset_ns = theta_ns + far.origin.epoch_offset_ns - near.origin.epoch_offset_ns

        def place(hop: Hop, half: Half) -> ReadyHop:
            source, uncertainty_ns = relation.source, relation.uncertainty_ns
            return ReadyHop(hop, half, far.transit, near.origin.epoch_offset_ns, source, offset_ns, uncertainty_ns)

        ready = [place(hop, sender) for hop in list_wire(near, far, theta_ns)]
        self._wire_done = True
        if not self._far_done:
            ready += [place(hop, far) for hop in list_hops(far, theta_ns)]
            self._far_done = True
        return ready


def _read_start(item: ReadyHop) -> int:
    return item.hop.start.monotonic_ns + item.epoch_offset_ns


def _list_ready(half: Half, hops: list[Hop], epoch_offset_ns: int, clock: ClockSource | None) -> list[ReadyHop]:
    return [ReadyHop(hop, half, half.transit, epoch_offset_ns, clock) for hop in hops]
