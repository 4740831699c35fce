"""What is ours at tc: filters by their name, which tells whose they are, and clsact qdiscs by a mark.

Pure. Grammar: name = "hopspan-" pid "-" pid-namespace "-" program, with the process id as the agent saw it, and the
inode of its PID namespace in hex, since two containers may have the same ids. A qdisc has no name: its mark is a size
table (tc-stab(8)), which means nothing to a clsact, since that has no queue.
"""

import re
import struct

import msgspec

from node_probe.devices import Side

# struct nlattr, then struct tc_sizespec (linux/pkt_sched.h): cell_log, size_log, cell_align, overhead, linklayer,
# mpu, mtu, tsize. The numbers are "hops" and "pan!": nobody has packets like that.
_SIZE_TABLE = struct.Struct("=HHBBhiIIII")
_TCA_STAB_BASE = 1

QDISC_MARK = _SIZE_TABLE.pack(_SIZE_TABLE.size, _TCA_STAB_BASE, 0, 0, 0, 0x686F7073, 0, 0x70616E21, 0, 0)
"""The TCA_STAB of a clsact that we made. It comes into being with the qdisc, in one step, so that at no moment one of
ours is taken for another's or the reverse; and whoever makes it his own (`tc qdisc replace`) wipes it off."""

# Version 0.1.0 marked the filter in place of the qdisc: one that it left is still known.
_NAME = re.compile(r"hopspan-(\d{1,10})-([0-9a-f]{1,16})-(\w+)(?:\+qdisc)?", re.ASCII)


class Owner(msgspec.Struct, frozen=True, order=True):
    """The agent that made a filter."""

    pid: int
    """As the agent saw it, within its PID namespace."""
    pid_namespace: int
    """The namespace's inode."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """A bpf filter of a device's clsact, as netlink describes it."""

    ifindex: int
    device: str
    side: Side
    name: str
    program_id: int
    handle: int
    priority: int
    protocol: int
    """Ethernet protocol, in the host's byte order."""

    @property
    def owner(self) -> Owner | None:
        """Return whose it is; None: not ours."""
        match = _NAME.fullmatch(self.name)
        return Owner(int(match[1]), int(match[2], 16)) if match else None


def filter_prefix(owner: Owner) -> str:
    """Return what the names of an agent's filters begin with."""
    return f"hopspan-{owner.pid}-{owner.pid_namespace:x}-"
