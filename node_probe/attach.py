"""Attaches programs to devices and releases them: a Plan in, the difference made so.

By tcx links where the kernel has them (6.6), which end with this process however it ends; else by clsact filters,
which the guardian removes when this process dies. Only what was attached here is ever detached.
"""

import contextlib
import errno
import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from hopspan.logs import Log
from node_probe.bpf import TCX_EGRESS, TCX_INGRESS, create_tcx_link
from node_probe.devices import Attachment, Plan, Side, without_pods
from node_probe.filters import filter_prefix
from node_probe.guardian import Guardian
from node_probe.namespaces import entered, list_namespaces
from node_probe.netlink import Netlink
from node_probe.owners import read_own_identity

_TCX_TYPES = {Side.INGRESS: TCX_INGRESS, Side.EGRESS: TCX_EGRESS}
_OWN_NAMESPACE = -1

ATTACH_LIMIT = 80
"""Programs attached in one call, twenty pods' worth: some 200 ms, in which nobody reads the ring."""

# The device went while we attached: netlink will tell, and the next plan is without it.
_VANISHED = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOENT})


class Attacher:
    """The points that are attached now. Used by one thread, in the node's namespace."""

    def __init__(self, programs: Mapping[str, int], log: Log) -> None:
        """Take the programs' fds by name."""
        self._programs = programs
        self._log = log
        self._links: dict[Attachment, int | None] = {}
        self._pod_names: dict[int, str] = {}
        self._guardian: Guardian | None = None
        self._tcx = True
        self.has_more = False
        """Whether the last `apply` left something for the next."""

    @property
    def attached(self) -> frozenset[Attachment]:
        """Return what is attached."""
        return frozenset(self._links)

    @property
    def mechanism(self) -> str:
        """Return `tcx` or `clsact`."""
        return "tcx" if self._tcx else "clsact"

    def pod_device_names(self) -> Mapping[int, str]:
        """Return the names of the pods' devices, by the index of the host end."""
        return dict(self._pod_names)

    def hosts_of_pods(self) -> Mapping[int, tuple[int, ...]]:
        """Return, by a pod device's index in its own namespace, the indexes of the host ends."""
        hosts: defaultdict[int, set[int]] = defaultdict(set)
        for attachment in self._links:
            if attachment.host_ifindex:
                hosts[attachment.ifindex].add(attachment.host_ifindex)
        return {ifindex: tuple(sorted(ends)) for ifindex, ends in hosts.items()}

    def apply(self, plan: Plan) -> int:
        """Attach what the plan has and is not attached, release what it no longer has; return how many failed.

        At most ATTACH_LIMIT are attached in one call, and `has_more` tells whether that was all. A pod whose
        namespace cannot be found counts as failed, and is measured from its host end meanwhile.
        """
        missing = plan.attachments - self.attached
        paths = self._find_namespaces({a.namespace for a in missing} - {_OWN_NAMESPACE})
        hidden = {a.host_ifindex for a in missing if a.host_ifindex and a.namespace not in paths}
        for host_ifindex in hidden:
            self._log.warn("no process or name holds the namespace of a pod's device", veth=host_ifindex)
        wanted = without_pods(plan.attachments, hidden)
        for attachment in self.attached - wanted:
            self._release(attachment)
        missing = wanted - self.attached
        self.has_more = len(missing) > ATTACH_LIMIT
        attached = [self._attach(a, paths.get(a.namespace)) for a in sorted(missing)[:ATTACH_LIMIT]]
        return len(hidden) + attached.count(False)

    def close(self) -> None:
        """Release everything."""
        for attachment in self.attached:
            self._release(attachment)
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None

    def _attach(self, attachment: Attachment, path: Path | None) -> bool:
        try:
            with entered(path):
                self._links[attachment] = self._attach_here(attachment)
                if attachment.host_ifindex:
                    self._pod_names[attachment.host_ifindex] = read_device_name(attachment.ifindex)
        except OSError as error:
            if error.errno not in _VANISHED:
                self._log.warn(
                    "a program could not be attached",
                    program=attachment.program,
                    ifindex=attachment.ifindex,
                    error=str(error),
                )
            return False
        return True

    def _attach_here(self, attachment: Attachment) -> int | None:
        program = self._programs[attachment.program]
        if self._tcx:
            try:
                return create_tcx_link(program, attachment.ifindex, _TCX_TYPES[attachment.side])
            except OSError as error:
                # Below kernel 6.6 the attach type is unknown. Above, EINVAL has no other cause here.
                if error.errno != errno.EINVAL:
                    raise
                self._tcx = False
        if self._guardian is None:
            self._guardian = Guardian()
        with Netlink() as netlink:
            name = filter_prefix(read_own_identity()) + attachment.program
            netlink.add_filter(attachment.ifindex, attachment.side, program, name)
        return None

    def _release(self, attachment: Attachment) -> None:
        fd = self._links.pop(attachment)
        self._pod_names.pop(attachment.host_ifindex, None)
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
            return
        # A clsact filter goes with its device; where the device is still there, its point has changed.
        prefix = filter_prefix(read_own_identity()) + attachment.program
        if attachment.namespace == _OWN_NAMESPACE:
            with contextlib.suppress(OSError), Netlink() as netlink:
                netlink.remove_filters(lambda item: item.ifindex == attachment.ifindex and item.name == prefix)

    def _find_namespaces(self, wanted: Iterable[int]) -> dict[int, Path]:
        """Return a path to each wanted namespace, as far as something visible holds it."""
        missing = set(wanted)
        found: dict[int, Path] = {}
        if not missing:
            return found
        with Netlink() as netlink:
            for path in list_namespaces().values():
                with contextlib.suppress(OSError):
                    identity = netlink.find_namespace_id(path)
                    if identity in missing:
                        found[identity] = path
                        missing.discard(identity)
                if not missing:
                    break
        return found


def read_device_name(ifindex: int) -> str:
    """Return a device's name in the current namespace. A pod may choose any bytes; what is no UTF-8 is replaced."""
    return socket.if_indextoname(ifindex).encode(errors="surrogateescape").decode(errors="replace")
