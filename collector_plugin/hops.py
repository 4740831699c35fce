"""Turns the stamps of a message into hops: the way between two successive points, on the parent's clock.

Pure. Times are epoch nanoseconds.
"""

from collections.abc import Callable

from collector_plugin.clocks import ClockRelation, ClockSource
from collector_plugin.courses import Role, has_wire
from collector_plugin.describe import describe_addresses, describe_measured, describe_source
from collector_plugin.halves import Half
from collector_plugin.hop_templates import find_templates, find_wire_template
from collector_plugin.network_span import Attributes
from collector_plugin.ready_hops import Account, Hop

DescribeEnds = Callable[[Half], tuple[Attributes, ...]]
"""Tells of source and destination in the packet's direction, for the spans of a half."""

PLAIN_ENDS: DescribeEnds = describe_addresses
"""Addresses and ports alone."""

# A member that is looked up at its class takes as long as a small call.
_SENDER, _MEASURED = Role.SENDER, ClockSource.MEASURED


def give_account(
    half: Half,
    offset_ns: int,
    clock: ClockSource | None = None,
    groups: tuple[Attributes, ...] = (),
    describe_ends: DescribeEnds = PLAIN_ENDS,
) -> Account:
    """Return what a node tells; `offset_ns` is the parent's clock minus the node's monotonic one.

    `groups` say how that was found by `clock`.
    """
    course, flags, ends = half.course, half.raw.flags & 0xFF, describe_ends(half)
    templates = find_templates(course, half.origin.place)
    return Account(course, half.times_ns, offset_ns, templates, flags, ends, clock, groups)


def relate_account(near_offset_ns: int, far: Half, relation: ClockRelation, describe_ends: DescribeEnds) -> Account:
    """Return what the far node tells, on the near node's clock; `near_offset_ns` is its wall clock minus that."""
    source = relation.source
    if source is _MEASURED:
        wall_offset_ns = relation.theta_ns + far.origin.epoch_offset_ns - near_offset_ns
        told = describe_measured(wall_offset_ns, relation.uncertainty_ns)
    else:
        told = describe_source(source)
    return give_account(far, near_offset_ns - relation.theta_ns, source, (told,), describe_ends)


def list_hops(account: Account) -> list[Hop]:
    """Return the hops of one node, in the order of the packet's way; none where it has a single stamp."""
    hops = []
    offset_ns, times_ns = account.offset_ns, account.times_ns
    start_ns, stop = times_ns[0] + offset_ns, 1
    # By hand: of lists so short each iterator costs more than what it gives.
    for template in account.templates.hops:
        stop_ns = times_ns[stop] + offset_ns
        hops.append((start_ns, stop_ns, template, account))
        start_ns, stop = stop_ns, stop + 1
    return hops


def list_wire(near: Account, far: Account) -> list[Hop]:
    """Return the hop between the nodes; none where one of its ends was not seen."""
    sender, receiver = (near, far) if near.course.role is _SENDER else (far, near)
    if not has_wire(sender.course, receiver.course):
        return []
    start_ns, stop_ns = sender.times_ns[-1] + sender.offset_ns, receiver.times_ns[0] + receiver.offset_ns
    return [(start_ns, stop_ns, find_wire_template(sender.templates, receiver.templates.node), far)]
