"""Our tc filters by name: which agent made one, and what else the name tells whoever removes it.

Pure. Grammar: name = "hopspan-" pid "-" pid-namespace "-" program [ "+qdisc" ], with the process id as the agent saw
it, the inode of its PID namespace in hex, since two containers may have the same ids, and a mark on filters whose
device had no clsact before. The mark is in a name since a qdisc has none, and a filter outlives its maker.
"""

import re

import msgspec

from node_probe.devices import Side

QDISC_MARK = "+qdisc"

_NAME = re.compile(r"hopspan-(\d{1,10})-([0-9a-f]{1,16})-(\w+?)(\+qdisc)?", re.ASCII)


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

    @property
    def made_qdisc(self) -> bool:
        """Return whether the clsact came with it."""
        return self.owner is not None and self.name.endswith(QDISC_MARK)


def filter_prefix(owner: Owner) -> str:
    """Return what the names of an agent's filters begin with."""
    return f"hopspan-{owner.pid}-{owner.pid_namespace:x}-"
