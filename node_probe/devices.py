"""Which devices are points: what netlink tells of a node's devices -> the programs to attach, each with a reason.

Pure. Devices are known by kind, peer and address, never by a name that a CNI chose.
"""

import fnmatch
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from enum import Enum

import msgspec


class Device(msgspec.Struct, frozen=True):
    """A network device of the node's namespace, as netlink describes it."""

    ifindex: int
    name: str
    kind: str = ""
    """`veth`, `vxlan`, `bridge`, ...; empty for hardware."""
    peer_ifindex: int = 0
    """For a veth: the peer's index, within the peer's namespace."""
    peer_namespace: int | None = None
    """For a veth whose peer is elsewhere: the id under which this namespace knows the peer's."""
    has_subnet: bool = False
    """It bears an address with neighbours on the link: a NIC or a router's link, not a pod's host end."""
    vxlan_port: int = 0
    underlays: tuple[int, ...] = ()
    """For a vxlan: the devices that its outer routes leave by, none where none was found."""
    is_external: bool = False
    """For a vxlan: each packet brings the node that it goes to, as with Cilium, and no peer is written down."""
    has_gateway: bool = False
    """A route with a gateway leaves by it. Known only where no vxlan's peers tell the underlays."""
    master: int = 0
    """The bond, bridge or the like that it is a part of."""
    parent: int = 0
    """For a VLAN, macvlan or ipvlan: the device of this namespace that it stands upon."""


class Side(Enum):
    """The direction in which a packet passes a device, seen from the device."""

    INGRESS = "ingress"
    EGRESS = "egress"


_UNTUNNELLED = frozenset({"", "bond", "bridge", "ipvlan", "macvlan", "team", "veth", "vlan"})
"""Kinds whose packets are what the wire carries, of whatever is below them; hardware has none."""

OWN_NAMESPACE = -1
"""Stands for the node's own network namespace where others have an id: the kernel's ids begin at 0."""


class Attachment(msgspec.Struct, frozen=True, order=True):
    """One program at one device."""

    ifindex: int
    program: str
    namespace: int = OWN_NAMESPACE
    """The id under which the node's namespace knows a pod's, or OWN_NAMESPACE."""
    host_ifindex: int = 0
    """For a pod's device: its host end."""

    @property
    def side(self) -> Side:
        """Return the side that the program's point lies on."""
        return Side.INGRESS if "ingress" in self.program else Side.EGRESS


class Objection(msgspec.Struct, frozen=True):
    """Why a device is no point."""

    ifindex: int
    name: str
    reason: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.name}: {self.reason}"


class Plan(msgspec.Struct, frozen=True):
    """What to attach, and the tunnel ports to tell the kernel."""

    attachments: frozenset[Attachment]
    tunnel_ports: tuple[int, ...]
    objections: tuple[Objection, ...]
    """One for each device that is no point although it is a veth or a vxlan, or carries an underlay's packets."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return the objections, each as one line."""
        return tuple(map(str, self.objections))


def plan_points(devices: Iterable[Device], exclude: Iterable[str], *, pod: bool) -> Plan:
    """Choose the points among `devices`.

    `exclude` are patterns of device names (as in a shell) that are left alone; `pod` adds the pods' own devices,
    which makes the host's end of a veth a middle point instead of a first or last one.
    """
    known = {device.ifindex: device for device in devices}
    patterns = tuple(exclude)
    attachments: set[Attachment] = set()
    objections: list[Objection] = []
    overlays = [d for d in known.values() if d.kind == "vxlan" and not _is_excluded(d, patterns)]
    underlays = _find_underlays(known.values(), overlays)
    covered = _find_covered(known, underlays)
    for device in known.values():
        if device.kind not in {"veth", "vxlan"} and device.ifindex not in underlays | covered.keys():
            continue
        reason = _find_objection(device, underlays, covered, patterns)
        if reason:
            objections.append(Objection(device.ifindex, device.name, reason))
        elif device.ifindex in underlays:
            attachments |= {Attachment(device.ifindex, "nic_egress"), Attachment(device.ifindex, "nic_ingress")}
        elif device.kind == "vxlan":
            attachments |= {Attachment(device.ifindex, f"overlay_{side.value}") for side in Side}
        else:
            attachments |= _plan_veth(device, pod=pod)
    ports = tuple(sorted({d.vxlan_port for d in overlays}))
    return Plan(frozenset(attachments), ports, tuple(objections))


def without_pods(attachments: frozenset[Attachment], host_ifindexes: set[int]) -> frozenset[Attachment]:
    """Return the attachments with some pods' own devices left out: their host ends become first and last points."""
    changed: set[Attachment] = set()
    for attachment in attachments:
        if attachment.host_ifindex in host_ifindexes:
            continue
        if attachment.ifindex in host_ifindexes and attachment.namespace == OWN_NAMESPACE:
            changed |= _plan_host_end_alone(attachment.ifindex)
        else:
            changed.add(attachment)
    return frozenset(changed)


def name_devices(devices: Iterable[Device]) -> Mapping[int, str]:
    """Return the names of the node's devices by index."""
    return {device.ifindex: device.name for device in devices}


def _find_underlays(devices: Collection[Device], overlays: list[Device]) -> set[int]:
    """Return the overlays' underlays; the devices that reach other nodes, where an overlay's peers tell none.

    Without any vxlan these are the underlays of a node with pods.
    """
    ways = {d.ifindex for d in devices if d.has_gateway and _leads_to_nodes(d)}
    if not any(device.kind == "vxlan" for device in devices):
        return ways if any(_is_pods(device) for device in devices) else set()
    told = {ifindex for overlay in overlays for ifindex in overlay.underlays}
    return told | (ways if any(d.is_external and not d.underlays for d in overlays) else set())


def _leads_to_nodes(device: Device) -> bool:
    # A veth without a subnet leads to a pod, or into the node itself, as cilium_host does by a route with a gateway.
    return device.kind in _UNTUNNELLED and (device.kind != "veth" or device.has_subnet)


def _find_covered(devices: Mapping[int, Device], underlays: Collection[int]) -> dict[int, str]:
    """Return the devices below an underlay, each with that underlay's name: what it carries was met there already.

    Of bond and slave, VLAN and parent the upper one alone is a point. A bridge may have pods beside its NIC.
    """
    parts: defaultdict[int, list[int]] = defaultdict(list)
    for device in devices.values():
        if device.master in devices and not (device.kind == "veth" and devices[device.master].kind == "bridge"):
            parts[device.master].append(device.ifindex)
        if device.parent in devices:
            parts[device.ifindex].append(device.parent)
    covered: dict[int, str] = {}
    waiting = [(ifindex, devices[ifindex].name) for ifindex in sorted(underlays) if ifindex in devices]
    for upper, name in waiting:
        for lower in parts[upper]:
            if lower not in covered and lower not in underlays:
                covered[lower] = name
                waiting.append((lower, name))
    return covered


def _is_pods(device: Device) -> bool:
    return device.kind == "veth" and device.peer_namespace is not None and not device.has_subnet


def _plan_veth(device: Device, *, pod: bool) -> set[Attachment]:
    if not pod or device.peer_namespace is None:
        return _plan_host_end_alone(device.ifindex)
    pod_side = {
        Attachment(device.peer_ifindex, program, device.peer_namespace, device.ifindex)
        for program in ("pod_egress", "pod_ingress")
    }
    return pod_side | {Attachment(device.ifindex, "veth_ingress"), Attachment(device.ifindex, "veth_egress")}


def _plan_host_end_alone(ifindex: int) -> set[Attachment]:
    return {Attachment(ifindex, "veth_ingress_first"), Attachment(ifindex, "veth_egress_last")}


def _find_objection(
    device: Device, underlays: Collection[int], covered: Mapping[int, str], exclude: tuple[str, ...]
) -> str:
    if _is_excluded(device, exclude):
        return "excluded by points.exclude"
    if device.ifindex in underlays:
        return ""
    if device.ifindex in covered:
        return f"its packets are met at {covered[device.ifindex]}, which stands upon it"
    if device.kind == "vxlan":
        return _find_overlays_objection(device, underlays)
    if device.peer_namespace is None:
        return "its peer is in the same namespace"
    return "bears a subnet of its own, so it is no pod's" if device.has_subnet else ""


def _find_overlays_objection(device: Device, underlays: Collection[int]) -> str:
    if device.underlays or (device.is_external and underlays):
        return ""
    if device.is_external:
        return "each packet tells where it goes, and no route with a gateway tells by which device"
    return "no route tells which device its outer packets leave by"


def _is_excluded(device: Device, exclude: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(device.name, pattern) for pattern in exclude)
