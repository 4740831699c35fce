"""Attaches programs to devices and releases them: a Plan in, the difference made so.

By tcx links where the kernel has them (6.6), which end with this process however it ends; else by clsact filters,
which the guardian removes when this process dies. Which of the two is told. Only what was attached here is ever
detached.
"""

import contextlib
import errno
import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping

from hopspan.logs import Log
from node_probe.bpf import TCX_EGRESS, TCX_INGRESS, create_tcx_link
from node_probe.clock import monotonic_ns
from node_probe.devices import OWN_NAMESPACE, Attachment, Plan, Side, without_pods
from node_probe.filters import filter_prefix
from node_probe.guardian import Guardian
from node_probe.namespaces import Namespace, entered, find_namespaces
from node_probe.netlink import Netlink
from node_probe.owners import read_own_identity

_TCX_TYPES = {Side.INGRESS: TCX_INGRESS, Side.EGRESS: TCX_EGRESS}

ATTACH_LIMIT = 80
"""Programs tried in one call, twenty pods' worth."""

ATTACH_TIME_NS = 200_000_000
"""After which a call tries no more, since nobody reads the ring meanwhile. To attach by tcx the kernel waits until no
CPU runs the device's former programs (an RCU grace period): 2 to 12 ms each, with hardly any CPU time."""

# The device went while we attached: netlink will tell, and the next plan is without it.
_VANISHED = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOENT})


class Attacher:
    """The points that are attached now. Used by one thread, in the node's namespace."""

    def __init__(self, programs: Mapping[str, int], log: Log, *, tcx: bool) -> None:
        """Take the programs' fds by name, and whether to attach by tcx, as `find_tcx` tells."""
        self._programs = programs
        self._log = log
        self._links: dict[Attachment, int | None] = {}
        self._pod_names: dict[int, str] = {}
        self._guardian: Guardian | None = None
        self._tcx = tcx
        self._failed: dict[Attachment, None] = {}
        """What could not be attached, in the order of the attempts."""
        self._told: set[tuple[Attachment | int, str]] = set()
        """What the log has been told of those that failed and, by the host end, of hidden pods: once is enough."""
        self.has_more = False
        """Whether the last `apply` left something that was never tried."""

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
        """Attach what the plan has and is not attached, release what it no longer has; return how many could not be.

        At most ATTACH_LIMIT are tried in one call, for ATTACH_TIME_NS: first what never was, then what failed, the
        longest ago first.
        A pod whose namespace cannot be found counts as failed, and is measured from its host end meanwhile.
        """
        missing = plan.attachments - self.attached
        # To release a filter its namespace has to be entered; a tcx link ends with its descriptor.
        sought = missing if self._tcx else plan.attachments ^ self.attached
        places = find_namespaces({a.namespace for a in sought} - {OWN_NAMESPACE})
        hidden = {a.host_ifindex for a in missing if a.host_ifindex and a.namespace not in places}
        for host_ifindex in sorted(hidden):
            self._tell_once(
                host_ifindex, "no process or name holds the namespace of a pod's device", veth=host_ifindex
            )
        wanted = without_pods(plan.attachments, hidden)
        self._release(self.attached - wanted, places)
        self._attach_some(wanted - self.attached, places)
        self._told = {item for item in self._told if item[0] in self._failed.keys() | hidden}
        return len(hidden) + len(self._failed)

    def keep_guarded(self) -> None:
        """Start the guardian again where it has died, as of the OOM killer. To be called now and then."""
        if self._guardian is not None and not self._guardian.is_alive():
            self._log.warn("the guardian of the filters died, and is started again")
            self._guardian = Guardian()

    def close(self) -> None:
        """Release everything."""
        for fd in self._links.values():
            if fd is not None:
                os.close(fd)
        self._links.clear()
        self._pod_names.clear()
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None

    def _attach_some(self, missing: frozenset[Attachment], places: Mapping[int, Namespace]) -> None:
        # By pods, so that one is complete before the next is begun.
        untried = sorted(missing - self._failed.keys(), key=lambda a: (a.host_ifindex or a.ifindex, a))
        self._failed = {attachment: None for attachment in self._failed if attachment in missing}
        end_ns = monotonic_ns() + ATTACH_TIME_NS
        tried = 0
        for attachment in [*untried, *self._failed][:ATTACH_LIMIT]:
            if tried and monotonic_ns() >= end_ns:
                break
            tried += 1
            self._failed.pop(attachment, None)
            if not self._attach(attachment, places.get(attachment.namespace)):
                self._failed[attachment] = None
        self.has_more = tried < len(untried)

    def _attach(self, attachment: Attachment, place: Namespace | None) -> bool:
        try:
            if self._guardian is None and not self._tcx:
                # Not from within a pod's namespace, which the process would keep alive.
                self._guardian = Guardian()
            with _entered(place):
                self._links[attachment] = self._attach_here(attachment)
                if attachment.host_ifindex:
                    self._pod_names[attachment.host_ifindex] = read_device_name(attachment.ifindex)
        except OSError as error:
            self._tell_failure(attachment, error)
            return False
        return True

    def _tell_failure(self, attachment: Attachment, error: OSError) -> None:
        fields: dict[str, str | int] = {
            "program": attachment.program,
            "ifindex": attachment.ifindex,
            "error": str(error),
        }
        if error.errno in _VANISHED:
            self._tell_once(attachment, "a device went while a program was being attached", **fields)
        else:
            self._tell_once(attachment, "a program could not be attached", **fields)

    def _tell_once(self, about: Attachment | int, message: str, **fields: str | int) -> None:
        if (about, message) not in self._told:
            self._told.add((about, message))
            self._log.warn(message, **fields)

    def _attach_here(self, attachment: Attachment) -> int | None:
        program = self._programs[attachment.program]
        if self._tcx:
            return create_tcx_link(program, attachment.ifindex, _TCX_TYPES[attachment.side])
        with Netlink() as netlink:
            name = filter_prefix(read_own_identity()) + attachment.program
            netlink.add_filter(attachment.ifindex, attachment.side, program, name)
        return None

    def _release(self, attachments: Iterable[Attachment], places: Mapping[int, Namespace]) -> None:
        by_filter: defaultdict[int, set[Attachment]] = defaultdict(set)
        for attachment in attachments:
            fd = self._links.pop(attachment)
            self._pod_names.pop(attachment.host_ifindex, None)
            if fd is None:
                by_filter[attachment.namespace].add(attachment)
            else:
                os.close(fd)
        for namespace, released in by_filter.items():
            # A namespace that is not found has ended as a rule, and its filters with it.
            if namespace == OWN_NAMESPACE or namespace in places:
                self._remove_filters(namespace, released, places.get(namespace))

    def _remove_filters(self, namespace: int, released: Iterable[Attachment], place: Namespace | None) -> None:
        # The id may by now be that of a new pod, whose device of the same index has filters of the same names.
        held = {(a.ifindex, a.program) for a in self._links if a.namespace == namespace}
        prefix = filter_prefix(read_own_identity())
        gone = {(a.ifindex, prefix + a.program) for a in released if (a.ifindex, a.program) not in held}
        try:
            with _entered(place), Netlink() as netlink:
                netlink.remove_filters(lambda item: (item.ifindex, item.name) in gone, {i for i, _ in gone})
        except OSError as error:
            if error.errno not in _VANISHED:
                self._log.warn("filters stay until the end of the probe", namespace=namespace, error=str(error))


def _entered(place: Namespace | None) -> contextlib.AbstractContextManager[None]:
    return entered(None) if place is None else entered(place.path, place.inode)


def read_device_name(ifindex: int) -> str:
    """Return a device's name in the current namespace. A pod may choose any bytes; what is no UTF-8 is replaced."""
    return socket.if_indextoname(ifindex).encode(errors="surrogateescape").decode(errors="replace")
