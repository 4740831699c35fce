"""What `node-probe points` prints: a survey of the node as a table for people, or as JSON for scripts.

Pure. A name that a pod chose may hold any character: what is not printable is shown escaped.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

import msgspec

from node_probe.devices import OWN_NAMESPACE, Attachment, Device, Plan

_UNREAD_TUNNELS = frozenset(
    {"erspan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "ip6tnl", "ipip", "sit", "tun", "vti", "wireguard"}
)
_HEADINGS = ("DEVICE", "INDEX", "WHERE", "POINT", "PROGRAM", "BY")


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What was found on the node, and what would be attached."""

    devices: tuple[Device, ...]
    """Those of the node's namespace."""
    plan: Plan
    mechanism: str
    """`tcx` or `clsact`."""
    namespaces: Mapping[int, str] = {}
    """Paths to the pods' namespaces by the ids under which the node's knows them, as far as they were found."""
    pod_names: Mapping[int, str] = {}
    """Names of the pods' devices by the index of the host end, as far as they could be read."""
    not_seen: tuple[str, ...] = ()
    """A sentence for each thing that could not be seen, with the right that is missing."""


class PlannedPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One program at one device, in the words of the JSON."""

    device: str | None
    """None for a pod's device whose name could not be read."""
    ifindex: int
    side: str
    """`node` or `pod`."""
    namespace: str | None
    """A path to the pod's namespace, None where none was found; of the node's own always None."""
    host_device: str | None
    """For a pod's device: the host end of its veth."""
    point: str
    direction: str
    program: str
    mechanism: str


class BareDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that is no point, in the words of the JSON."""

    device: str
    ifindex: int
    kind: str
    reason: str


def list_points(survey: Survey) -> list[PlannedPoint]:
    """Return what would be attached: by devices, a pod's behind its host end."""
    names = {device.ifindex: device.name for device in survey.devices}
    ordered = sorted(survey.plan.attachments, key=lambda a: (a.host_ifindex or a.ifindex, a.host_ifindex, a))
    return [_describe(attachment, names, survey) for attachment in ordered]


def list_bare_devices(survey: Survey) -> list[BareDevice]:
    """Return the devices that are no points, each with the reason."""
    taken = {a.ifindex for a in survey.plan.attachments if a.namespace == OWN_NAMESPACE}
    objections = {objection.ifindex: objection.reason for objection in survey.plan.objections}
    other = _explain_others(survey)
    return [
        BareDevice(
            device=device.name,
            ifindex=device.ifindex,
            kind=device.kind,
            reason=objections.get(device.ifindex) or _explain(device, other),
        )
        for device in sorted(survey.devices, key=lambda device: device.ifindex)
        if device.ifindex not in taken
    ]


def render_json(survey: Survey) -> str:
    """Return the survey as one JSON object."""
    return msgspec.json.encode(
        {
            "mechanism": survey.mechanism,
            "tunnel_ports": survey.plan.tunnel_ports,
            "points": list_points(survey),
            "devices_without_points": list_bare_devices(survey),
            "not_seen": survey.not_seen,
        }
    ).decode()


def render_table(survey: Survey) -> Iterator[str]:
    """Yield the lines of a table, then those of the devices that are no points, then what could not be seen."""
    points, bare = list_points(survey), list_bare_devices(survey)
    rows = [_HEADINGS, *(_make_row(point) for point in points)] if points else []
    yield from _align(rows)
    yield from _separate(points, "nothing would be attached")
    yield from _align([("NO POINT", "INDEX", "REASON"), *((_show(d.device), str(d.ifindex), d.reason) for d in bare)])
    yield from ["", *(f"not seen: {sentence}" for sentence in survey.not_seen)] if survey.not_seen else []


def _separate(points: list[PlannedPoint], otherwise: str) -> Iterator[str]:
    if not points:
        yield otherwise
    yield ""


def _describe(attachment: Attachment, names: Mapping[int, str], survey: Survey) -> PlannedPoint:
    in_pod = attachment.namespace != OWN_NAMESPACE
    return PlannedPoint(
        device=(survey.pod_names.get(attachment.host_ifindex) if in_pod else names.get(attachment.ifindex)),
        ifindex=attachment.ifindex,
        side="pod" if in_pod else "node",
        namespace=survey.namespaces.get(attachment.namespace) if in_pod else None,
        host_device=names.get(attachment.host_ifindex) if in_pod else None,
        # A point where a transit may begin or end has a second program for that.
        point=attachment.program.removesuffix("_first").removesuffix("_last").replace("_", "-"),
        direction=attachment.side.value,
        program=attachment.program,
        mechanism=survey.mechanism,
    )


def _explain(device: Device, other: str) -> str:
    return f"tunnels of kind {device.kind} are not read in this version" if device.kind in _UNREAD_TUNNELS else other


def _explain_others(survey: Survey) -> str:
    """Return why a device that is neither a pod's nor a tunnel is no point on this node."""
    if any(device.is_external and not device.underlays for device in survey.devices):
        return "no overlay's outer packets are known to leave by it, and no route with a gateway does"
    if any(device.kind == "vxlan" for device in survey.devices):
        return "no overlay's outer packets leave by it"
    if survey.plan.attachments:
        return "no route with a gateway leaves by it"
    return "there is neither a pod nor an overlay"


def _make_row(point: PlannedPoint) -> tuple[str, ...]:
    where = "node"
    if point.side == "pod":
        where = f"pod of {_show(point.host_device or '?')}"
        where += f", {_show(point.namespace)}" if point.namespace else ""
    name = _show(point.device) if point.device is not None else "?"
    return (name, str(point.ifindex), where, point.point, point.program, point.mechanism)


def _show(name: str) -> str:
    return name if name.isprintable() else name.encode("unicode_escape").decode()


def _align(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def render(survey: Survey, *, as_json: bool) -> str:
    """Return the text that is printed."""
    lines = [render_json(survey)] if as_json else render_table(survey)
    return "".join(chain.from_iterable((line, "\n") for line in lines))
