"""One message of an exchange on its way through the join: its two halves, and which of their hops were handed out.

Pure. It reads no clock: the join decides when, the message knows what.
"""

from collector_plugin.clock_sightings import Sighting, see_message
from collector_plugin.clocks import ClockRelation, Clocks, ClockSource
from collector_plugin.courses import Role, has_wire
from collector_plugin.describe import describe_source
from collector_plugin.halves import Half, PackedHalf, pack_half
from collector_plugin.hops import PLAIN_ENDS, DescribeEnds, give_account, list_hops, list_wire, relate_account
from collector_plugin.parent import NO_PARENT, Parent
from collector_plugin.ready_hops import Account, Hop, Ready
from collector_plugin.reasons import TransitReason
from collector_plugin.sources import find_source

PARENT_KEY_BYTES = 24
"""A message key begins with its parent's: trace id and span id."""

_WHOLE, _RECEIVER = Role.WHOLE, Role.RECEIVER


class Message:
    """A message's halves and their state. `near` is the client side, or the one node of a whole message."""

    __slots__ = (
        "_far_done",
        "_far_node",
        "_near_done",
        "_near_node",
        "_packed_far",
        "_packed_near",
        "_sighting",
        "_wire_done",
        "counted",
        "due_ns",
        "earlier",
        "far",
        "first_ns",
        "group",
        "is_held",
        "is_packed",
        "is_patient",
        "is_settled",
        "key",
        "near",
        "network_ns",
        "parent",
    )

    def __init__(self, key: bytes, parent: Parent, group: bytes) -> None:
        """Start without halves; `key` is the message key (55 bytes)."""
        self.key = key
        self.parent = parent
        self.group = group
        """What all its attempts have in common."""
        self.near: Half | None = None
        self.far: Half | None = None
        """None where it is not there, or done with, or packed."""
        self.is_packed = False
        self._packed_near: PackedHalf | None = None
        self._packed_far: PackedHalf | None = None
        self.first_ns = -1
        """The first stamp known of it, as epoch time: what attempts are ordered by. None is below 0."""
        self.earlier = 0
        """How many sendings of it a node had seen before: those may be told of later, or never."""
        self.due_ns = 0
        """When the join forgets the message, or gives up what is still pending; 0 before it is filed."""
        self.counted: tuple[int, ...] = ()
        """Lengths of the records that are counted as waiting."""
        self.is_settled = False
        """Whether halves are no longer waited for: what comes is handed out at once."""
        self.is_held = False
        """Whether the far half waits for its clock to be related to the near one."""
        self.is_patient = True
        """Whether it waits also where the clocks are related, and soon may be better."""
        self.network_ns = 0
        """Durations of the hops that it handed out, together; kept with `slow` alone."""
        self._sighting: Sighting | None = None
        self._near_node: str | None = None
        self._far_node: str | None = None
        self._near_done = self._far_done = self._wire_done = False

    @property
    def parent_key(self) -> bytes:
        """Return trace id and span id of the context (24 bytes)."""
        return self.key[:PARENT_KEY_BYTES]

    @property
    def is_for_another_peer(self) -> bool:
        """Tell whether the parent says that it called another address than the message went to, or came from.

        Only its own node knows: behind DNAT the address is another.
        """
        peer, near = self.parent.peer, self.near
        return bool(peer) and near is not None and near.server_address != peer

    def add(self, half: Half) -> TransitReason | None:
        """Take in `half`, or return why it has no place here."""
        node = half.origin.place.node.name
        is_near = half.is_near
        known = self._near_node if is_near else self._far_node
        if known is not None:
            return TransitReason.DUPLICATE if known == node else TransitReason.CONFLICT
        is_whole = half.role is _WHOLE
        # A message that stayed on its node has no other half.
        if is_whole and self._far_node is not None:
            return TransitReason.CONFLICT
        if self.is_packed:
            self.unpack()
        self._sighting = None
        self.earlier = max(self.earlier, half.course.earlier)
        if is_near:
            self.near, self._near_node = half, node
        else:
            self.far, self._far_node = half, node
        if is_whole:
            self._far_node = node
        return None

    def find_source(self) -> int:
        """Return who sent it."""
        half = self._packed_near or self._packed_far or self.near or self.far
        assert half is not None
        return find_source(half.origin.place.node.name, half.record)

    def list_waiting(self) -> list[bytes]:
        """Return the records of the halves whose hops were not handed out."""
        near, far = self.near or self._packed_near, self.far or self._packed_far
        halves = (None if self._near_done else near, None if self._far_done else far)
        return [half.record for half in halves if half is not None]

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
        near = self.near
        return near is not None and (self.far is not None or near.role is _WHOLE)

    def take_ready(self, clocks: Clocks, describe_ends: DescribeEnds = PLAIN_ENDS) -> Ready:
        """Hand out the hops that can be and were not yet; sets `is_held` where some cannot."""
        near_hops: list[Hop] = []
        far_hops: list[Hop] = []
        wire: list[Hop] = []
        near, far = self.near, self.far
        near_done, far_done = self._near_done, self._far_done
        if near is not None:
            account = give_account(near, near.origin.epoch_offset_ns, None, (), describe_ends)
            if not near_done:
                near_hops = list_hops(account)
                self._near_done = True
            if far is not None and not self._wire_done:
                wire, far_hops = self._take_related(account, far, clocks, describe_ends)
        elif far is not None and not far_done:
            # By its own wall clock, the only one there is.
            groups = (describe_source(ClockSource.EPOCH),)
            epoch = give_account(far, far.origin.epoch_offset_ns, ClockSource.EPOCH, groups, describe_ends)
            far_hops = list_hops(epoch)
            self._far_done = True
        done = (self._near_done - near_done) + (self._far_done - far_done)
        # In order of time: with the relation of its clocks a message does not arrive before it left.
        is_answer = near is not None and near.role is _RECEIVER
        return Ready(far_hops + wire + near_hops if is_answer else near_hops + wire + far_hops, done)

    def count_held(self) -> int:
        """Return how many hops the message holds back for want of a relation between its clocks."""
        if self.near is None or self.far is None or not self.is_held:
            return 0
        far_hops = 0 if self._far_done else len(self.far.times_ns) - 1
        sender, receiver = (self.near, self.far) if self.near.role is Role.SENDER else (self.far, self.near)
        return far_hops + has_wire(sender.course, receiver.course)

    def slim(self) -> None:
        """Drop the halves of a message that is done; who reported them stays known. Pack those of one that waits."""
        if self.is_complete and not self.is_held:
            self.near = self.far = None
            self.parent = NO_PARENT
        self._sighting = None
        if self.near is not None:
            self._packed_near, self.near, self.is_packed = pack_half(self.near), None, True
        if self.far is not None:
            self._packed_far, self.far, self.is_packed = pack_half(self.far), None, True

    def unpack(self) -> None:
        """Make its halves ready for use, before anything is asked of it."""
        self.is_packed = False
        if self._packed_near is not None:
            self.near, self._packed_near = self._packed_near.unpack(self.parent_key), None
        if self._packed_far is not None:
            self.far, self._packed_far = self._packed_far.unpack(self.parent_key), None

    def see(self) -> Sighting | None:
        """Return what its halves tell of their clocks, None where it has but one."""
        if self._sighting is None and self.near is not None and self.far is not None:
            self._sighting = see_message(self.near, self.far)
        return self._sighting

    def relate(self, clocks: Clocks) -> ClockRelation | None:
        """Return the relation of its halves' clocks, None where it waits for one, or has but one half."""
        seen = self.see()
        if seen is None:
            return None
        relation = clocks.relate(seen)
        return None if relation is None or (self.is_patient and not relation.is_fresh) else relation

    def abandon(self) -> None:
        """Hand out nothing, now or later; who reported the halves stays known."""
        self.abandon_held()
        self._near_done = True

    def abandon_held(self) -> None:
        """Wait no longer for the clocks: what was held is never handed out."""
        self.is_held = False
        self._wire_done = self._far_done = True

    def _take_related(
        self, near_account: Account, far: Half, clocks: Clocks, describe_ends: DescribeEnds
    ) -> tuple[list[Hop], list[Hop]]:
        """Hand out the wire and the far half's hops, unless the clocks are not related."""
        relation = self.relate(clocks)
        self.is_held = relation is None
        if relation is None:
            return [], []
        account = relate_account(near_account.offset_ns, far, relation, describe_ends)
        self._wire_done = True
        is_far_new, self._far_done = not self._far_done, True
        return list_wire(near_account, account), list_hops(account) if is_far_new else []
