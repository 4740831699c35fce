"""Surveys the node for `node-probe points`: finds what the agent would find, and attaches nothing.

Edge: reads devices, namespaces, rights and the kernel's release. Needs no right and compiles nothing; what it cannot
see for want of a right is told as such.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from node_probe.attach import read_device_name
from node_probe.capabilities import Capability, check_host_rights, read_effective
from node_probe.device_dump import list_devices
from node_probe.devices import OWN_NAMESPACE, Attachment, plan_points, without_pods
from node_probe.errors import ProbeError
from node_probe.namespaces import Namespace, entered, find_namespaces
from node_probe.points import Survey
from node_probe.support import find_tcx, has_tcx_by_release


def survey_node(exclude: Iterable[str], *, pod: bool) -> Survey:
    """Return what was found in the caller's network namespace; the arguments are plan_points'. Raises OSError."""
    rights = read_effective()
    devices = list_devices()
    plan = plan_points(devices, exclude, pod=pod)
    in_pods = [a for a in plan.attachments if a.namespace != OWN_NAMESPACE]
    places = find_namespaces({a.namespace for a in in_pods})
    hidden = {a.host_ifindex for a in in_pods if a.namespace not in places}
    mechanism, doubt = _find_mechanism(rights)
    if Capability.SYS_ADMIN in rights:
        # As the agent does. Without the right it attaches in no pod at all, and the plan is that of one that has it.
        plan = msgspec.structs.replace(plan, attachments=without_pods(plan.attachments, hidden))
    return Survey(
        devices=tuple(devices),
        plan=plan,
        mechanism=mechanism,
        namespaces={identity: str(place.path) for identity, place in places.items()},
        pod_names=_read_names(plan.attachments, places) if Capability.SYS_ADMIN in rights else {},
        not_seen=(*_tell_hidden(rights, len({a.host_ifindex for a in in_pods}), len(hidden)), *doubt),
    )


def _find_mechanism(rights: frozenset[int]) -> tuple[str, tuple[str, ...]]:
    try:
        check_host_rights(rights)
        return ("tcx" if find_tcx() else "clsact"), ()
    except ProbeError as error:
        guess = "tcx" if has_tcx_by_release(os.uname().release) else "clsact"
        return guess, (f"whether the kernel attaches by {guess}, told from its release alone: {error}",)


def _read_names(attachments: Iterable[Attachment], places: Mapping[int, Namespace]) -> dict[int, str]:
    names = {}
    for attachment in attachments:
        place = places.get(attachment.namespace)
        if place is not None and attachment.host_ifindex not in names:
            # A pod may end while we look.
            with contextlib.suppress(OSError), entered(place.path, place.inode):
                names[attachment.host_ifindex] = read_device_name(attachment.ifindex)
    return names


def _tell_hidden(rights: frozenset[int], pods: int, hidden: int) -> Iterator[str]:
    if pods and Capability.SYS_ADMIN not in rights:
        yield (
            f"the names of the devices of {pods} pods, for want of CAP_SYS_ADMIN; a probe without it attaches at the "
            "host's ends of their veths alone (as with points.pod: false)"
        )
        return
    if hidden:
        cause = "" if Capability.SYS_PTRACE in rights else ", which may be for want of CAP_SYS_PTRACE"
        yield (
            f"the network namespaces of {hidden} pods: no process or name that can be seen holds them{cause}; "
            "they are measured from the host's end of the veth"
        )
