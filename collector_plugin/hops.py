"""Turns the stamps of a message into hops: the way between two successive points, on the parent's clock.

Pure. Times are epoch nanoseconds.
"""

import itertools

from collector_plugin.clocks import ClockSource
from collector_plugin.courses import Role, has_wire
from collector_plugin.describe import describe_addresses
from collector_plugin.halves import Half
from collector_plugin.hop_templates import find_templates
from collector_plugin.network_span import Attributes
from collector_plugin.ready_hops import Account, Hop


def give_account(half: Half, offset_ns: int, clock: ClockSource | None = None, *groups: Attributes) -> Account:
    """Return what a node tells; `offset_ns` is the parent's clock minus the node's monotonic one.

    `groups` say how that was found by `clock`.
    """
    times_ns = [time_ns + offset_ns for time_ns in half.times_ns]
    flags = half.raw.flags & 0xFF
    return Account(half.course, times_ns, find_templates(half), flags, describe_addresses(half), clock, groups)


def list_hops(account: Account) -> list[Hop]:
    """Return the hops of one node, in the order of the packet's way; none where it has a single stamp."""
    times_ns = account.times_ns
    # In C from end to end: every hop passes here. It ends with the last but one stamp.
    return list(map(Hop, account.templates.hops, times_ns, times_ns[1:], itertools.repeat(account)))


def list_wire(near: Account, far: Account) -> list[Hop]:
    """Return the hop between the nodes; none where one of its ends was not seen."""
    sender, receiver = (near, far) if near.course.role is Role.SENDER else (far, near)
    if not has_wire(sender.course, receiver.course):
        return []
    return [Hop(sender.templates.wire, sender.times_ns[-1], receiver.times_ns[0], far)]
