"""Netlink: keeps tc filters where tcx is missing. The only importer of pyroute2.

Reads and writes in the network namespace that the calling thread is in; its errors are OSErrors.
"""

import contextlib
import errno
from collections.abc import Callable, Collection, Iterator
from typing import Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from node_probe.devices import Side
from node_probe.filters import QDISC_MARK, Filter
from node_probe.tc_dump import NO_SUCH_PLACE, dump_filters, has_chains

FILTER_PRIORITY = 10
"""Behind whoever takes priority 1, as Cilium does: a fight over it took a fleet's pods off the network."""

_PRIORITIES_TRIED = 20
_LAST_PRIORITY = FILTER_PRIORITY + _PRIORITIES_TRIED - 1

_CLSACT_PARENTS = {Side.INGRESS: 0xFFFFFFF2, Side.EGRESS: 0xFFFFFFF3}

_CLSACT_HANDLE = 0xFFFF0000


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, f"netlink: {error.args[-1]}") from error


class Netlink:
    """A socket to the current namespace's rtnetlink."""

    def __init__(self) -> None:
        """Open the socket in the caller's namespace, where it stays."""
        self._route = IPRoute()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._route.close()

    @_mapped()
    def add_filter(self, ifindex: int, side: Side, program_fd: int, name: str) -> None:
        """Attach a program as a direct-action filter named `name`, making the clsact qdisc where there is none.

        The qdisc bears our mark from its first moment on. Raises OSError.
        """
        self._make_qdisc(ifindex, side)
        try:
            self._add_filter(ifindex, side, program_fd, name)
        except NetlinkError:
            if ifindex in self._find_own_qdiscs():
                self._remove_unused_qdisc(ifindex)
            raise

    @_mapped()
    def list_filters(self) -> list[Filter]:
        """Return the named bpf filters of all devices of the namespace. Raises OSError."""
        return [item for ifindex, name in self._list_names().items() for item in self._list_named(ifindex, name)]

    @_mapped()
    def remove_filters(
        self, wanted: Callable[[Filter], bool], ifindexes: Collection[int] | None = None
    ) -> list[Filter]:
        """Remove the filters that are wanted, and with the last at a device a clsact of ours that now holds nothing.

        `ifindexes` are the devices to look at, whose names are then left out; None: all. Return what was removed.
        Raises OSError.
        """
        removed = []
        own_qdiscs = self._find_own_qdiscs()
        names = self._list_names() if ifindexes is None else dict.fromkeys(ifindexes, "")
        for ifindex, name in names.items():
            gone = [item for item in self._list_named(ifindex, name) if wanted(item) and self._remove(item)]
            if gone and ifindex in own_qdiscs:
                self._remove_unused_qdisc(ifindex)
            removed += gone
        return removed

    @_mapped()
    def remove_unused_qdiscs(self) -> list[str]:
        """Remove each clsact of ours that holds nothing, and return the names of the devices. Raises OSError.

        There is one where an agent died between qdisc and filter. One that lives and has just come so far finds its
        qdisc gone, and has its filter refused, as if the device had gone: it tries again.
        """
        own_qdiscs = self._find_own_qdiscs()
        if not own_qdiscs:
            return []
        return [
            name
            for ifindex, name in self._list_names().items()
            if ifindex in own_qdiscs and self._remove_unused_qdisc(ifindex)
        ]

    def _list_names(self) -> dict[int, str]:
        return {link["index"]: link.get_attr("IFLA_IFNAME") for link in self._route.get_links()}

    def _find_own_qdiscs(self) -> set[int]:
        """Return the devices whose clsact bears our mark."""
        # Pyroute2 gives a size table as text.
        mark = QDISC_MARK.hex(":")
        return {
            qdisc["index"]
            for qdisc in self._route.get_qdiscs()
            if qdisc["handle"] == _CLSACT_HANDLE and qdisc.get_attr("TCA_STAB") == mark
        }

    def _make_qdisc(self, ifindex: int, side: Side) -> None:
        try:
            self._route.tc("add", "clsact", ifindex, stab=QDISC_MARK)
        except NetlinkError as error:
            if error.code != errno.EEXIST:
                raise
        else:
            return
        kinds = [q.get_attr("TCA_KIND") for q in self._route.get_qdiscs(ifindex) if q["handle"] == _CLSACT_HANDLE]
        if "ingress" in kinds and side is Side.EGRESS:
            # The older qdisc knows one direction, and takes a filter for the other into it without a word.
            raise OSError(errno.EOPNOTSUPP, "another's ingress qdisc leaves no room for an egress filter")

    def _remove_unused_qdisc(self, ifindex: int) -> bool:
        """Remove the device's clsact if nothing is there; return whether that was so."""
        if any(dump_filters(ifindex, parent) or has_chains(ifindex, parent) for parent in _CLSACT_PARENTS.values()):
            return False
        with _ignoring(NO_SUCH_PLACE):
            self._route.tc("del", "clsact", ifindex)
        return True

    def _add_filter(self, ifindex: int, side: Side, program_fd: int, name: str) -> None:
        place = {"parent": _CLSACT_PARENTS[side], "fd": program_fd, "name": name, "direct_action": True}
        for priority in range(FILTER_PRIORITY, _LAST_PRIORITY + 1):
            try:
                self._route.tc("add-filter", "bpf", ifindex, prio=priority, **place)
            except NetlinkError as error:
                # Somebody else's filter of another kind or protocol has this priority to itself.
                if error.code not in (errno.EINVAL, errno.EEXIST) or priority == _LAST_PRIORITY:
                    raise
            else:
                return

    def _remove(self, item: Filter) -> bool:
        place = {"parent": _CLSACT_PARENTS[item.side], "prio": item.priority, "protocol": item.protocol}
        try:
            self._route.tc("del-filter", "bpf", item.ifindex, item.handle, **place)
        except NetlinkError as error:
            if error.code not in NO_SUCH_PLACE:
                raise
            return False
        return True

    def _list_named(self, ifindex: int, device: str) -> list[Filter]:
        return [
            Filter(
                ifindex=ifindex,
                device=device,
                side=side,
                name=item.name,
                program_id=item.program_id,
                handle=item.handle,
                priority=item.priority,
                protocol=item.protocol,
            )
            for side in Side
            for item in dump_filters(ifindex, _CLSACT_PARENTS[side])
            if item.name
        ]


@contextlib.contextmanager
def _ignoring(codes: Collection[int]) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code not in codes:
            raise
