"""Lists the devices of the calling thread's network namespace, each with the routes that matter, from rtnetlink.

Reads only, needs no rights, and its errors are OSErrors. A device that vanishes meanwhile is left out or incomplete.
Layouts: linux/if_link.h, if_addr.h, neighbour.h, rtnetlink.h.
"""

import contextlib
import socket
import struct
from collections.abc import Iterator

import msgspec

from node_probe.devices import Device
from node_probe.rtnetlink import Channel, make_attribute, read_attributes

_NEWLINK, _GETLINK = 16, 18
_NEWADDR, _GETADDR = 20, 22
_NEWROUTE, _GETROUTE = 24, 26
_NEWNEIGH, _GETNEIGH = 28, 30

_IFLA_IFNAME, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_EXT_MASK, _IFLA_LINK_NETNSID = 3, 5, 10, 18, 29, 37
_INFO_KIND, _INFO_DATA = 1, 2
_VXLAN_LINK, _VXLAN_PORT, _VXLAN_COLLECT_METADATA = 3, 15, 25
_VXLAN_GROUPS, _VXLAN_LOCALS = (2, 16), (4, 17)
"""Each for IPv4 and for IPv6; a device has those of one family, or of none."""
_NDA_DST, _NDA_IFINDEX = 1, 8
_RTA_DST, _RTA_SRC, _RTA_OIF, _RTA_GATEWAY, _RTA_MULTIPATH, _RTA_VIA = 1, 2, 4, 5, 9, 18

_SKIP_STATISTICS = 1 << 3
_FIB_MATCH = 0x2000
"""RTM_F_FIB_MATCH: the route itself, with all its next hops, not the one that a packet of now would take."""
_UNICAST = 1
_LINK_SCOPE = 253

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ROUTE = struct.Struct("=8BI")
_NEXT_HOP = struct.Struct("=HBBi")
_NUMBER = struct.Struct("=I")

# A subnet leaves room for neighbours; /31 and /32 are what point-to-point CNIs put on the host's end of a pod's veth.
_POINT_TO_POINT_PREFIX = {socket.AF_INET: 31, socket.AF_INET6: 127}
_FAMILIES = {4: socket.AF_INET, 16: socket.AF_INET6}
"""By an address's length."""
_STANDING = frozenset({"ipvlan", "macvlan", "vlan"})
"""Kinds whose IFLA_LINK is the device that carries their packets."""

MAX_PEERS = 256
"""Peers of one vxlan whose outer route is looked up, some 10 us each: as many nodes share a few routes."""


def list_devices() -> list[Device]:
    """Return the devices of the namespace. Raises OSError."""
    with Channel() as channel:
        mask = make_attribute(_IFLA_EXT_MASK, _NUMBER.pack(_SKIP_STATISTICS))
        links = channel.dump(_GETLINK, _NEWLINK, _LINK.pack(0, 0, 0, 0, 0) + mask)
        addresses = channel.dump(_GETADDR, _NEWADDR, _ADDRESS.pack(0, 0, 0, 0, 0))
        subnets = set(_find_subnets(addresses))
        devices = [_describe(channel, link, subnets) for link in links]
        overlays = [device for device in devices if device.kind == "vxlan"]
        if overlays and not any(device.is_external and not device.underlays for device in overlays):
            return devices
        # Where no overlay's peers tell how other nodes are reached, the routes do; else nobody asks.
        gateways = {i for route in _dump_routes(channel) for i in _find_next_hops(route, gateway=True)}
        return [msgspec.structs.replace(device, has_gateway=device.ifindex in gateways) for device in devices]


def _find_subnets(addresses: list[bytes]) -> Iterator[int]:
    for address in addresses:
        family, prefix_length, _, scope, ifindex = _ADDRESS.unpack_from(address)
        if scope != _LINK_SCOPE and prefix_length < _POINT_TO_POINT_PREFIX.get(family, 0):
            yield ifindex


def _describe(channel: Channel, link: bytes, subnets: set[int]) -> Device:
    ifindex = _LINK.unpack_from(link)[2]
    attributes = read_attributes(link, _LINK.size)
    info = read_attributes(attributes.get(_IFLA_LINKINFO, b""))
    kind = _read_text(info.get(_INFO_KIND, b""))
    vxlan = read_attributes(info.get(_INFO_DATA, b"")) if kind == "vxlan" else {}
    lower, namespace = _read_number(attributes.get(_IFLA_LINK)), attributes.get(_IFLA_LINK_NETNSID)
    return Device(
        ifindex=ifindex,
        name=_read_text(attributes.get(_IFLA_IFNAME, b"")),
        kind=kind,
        peer_ifindex=lower if kind == "veth" else 0,
        peer_namespace=_read_number(namespace) if kind == "veth" and namespace is not None else None,
        has_subnet=ifindex in subnets,
        vxlan_port=int.from_bytes(vxlan.get(_VXLAN_PORT, b""), "big"),
        underlays=_find_underlays(channel, ifindex, vxlan) if vxlan else (),
        is_external=any(vxlan.get(_VXLAN_COLLECT_METADATA, b"")),
        master=_read_number(attributes.get(_IFLA_MASTER)),
        parent=lower if kind in _STANDING and namespace is None else 0,
    )


def _find_underlays(channel: Channel, ifindex: int, vxlan: dict[int, bytes]) -> tuple[int, ...]:
    """Return the devices that the outer packets leave by: the one it is bound to, else the ways to its peers."""
    bound = _read_number(vxlan.get(_VXLAN_LINK))
    if bound:
        return (bound,)
    found: set[int] = set()
    peers = {vxlan[group] for group in _VXLAN_GROUPS if group in vxlan}
    sources = {len(vxlan[local]): vxlan[local] for local in _VXLAN_LOCALS if local in vxlan}
    entries: list[bytes] = []
    with contextlib.suppress(OSError):
        # Of a device that vanished nothing is known any more.
        entries = channel.dump(_GETNEIGH, _NEWNEIGH, _LINK.pack(socket.AF_BRIDGE, 0, ifindex, 0, 0))
    for entry in entries:
        attributes = read_attributes(entry, _NEIGHBOUR.size)
        if _NDA_IFINDEX in attributes:
            found.add(_read_number(attributes[_NDA_IFINDEX]))
        elif _NDA_DST in attributes:
            peers.add(attributes[_NDA_DST])
    for peer in sorted(peers)[:MAX_PEERS]:
        found.update(_find_way(channel, peer, sources.get(len(peer))))
    return tuple(sorted(found - {0}))


def _find_way(channel: Channel, peer: bytes, local: bytes | None) -> list[int]:
    """Return the devices of the route to `peer`; several where it has several next hops, none where there is none."""
    family = _FAMILIES.get(len(peer))
    if family is None or not any(peer):
        return []
    bits = 8 * len(peer)
    # Rules may choose a route by the source, which the kernel refuses while it is no address of this node's.
    for source in (local, None) if local else (None,):
        head = _ROUTE.pack(family, bits, bits if source else 0, 0, 0, 0, 0, 0, _FIB_MATCH)
        body = head + make_attribute(_RTA_DST, peer) + (make_attribute(_RTA_SRC, source) if source else b"")
        with contextlib.suppress(OSError):
            return list(_find_next_hops(channel.ask(_GETROUTE, body), gateway=False))
    return []


def _dump_routes(channel: Channel) -> list[bytes]:
    # A kernel without IPv6 answers for that family with the routes of all others.
    requests = [_ROUTE.pack(family, *bytes(7), 0) for family in _FAMILIES.values()]
    return [route for request in requests for route in channel.dump(_GETROUTE, _NEWROUTE, request)]


def _find_next_hops(route: bytes, *, gateway: bool) -> Iterator[int]:
    """Yield the devices of a unicast route's next hops; with `gateway`, of those with a gateway alone."""
    # A peer that is an address of this node's has a route of type local, by the loopback.
    if _ROUTE.unpack_from(route)[7] != _UNICAST:
        return
    attributes = read_attributes(route, _ROUTE.size)
    if _RTA_OIF in attributes and (not gateway or attributes.keys() & {_RTA_GATEWAY, _RTA_VIA}):
        yield _read_number(attributes[_RTA_OIF])
    hops = attributes.get(_RTA_MULTIPATH, b"")
    while len(hops) >= _NEXT_HOP.size:
        length, _, _, ifindex = _NEXT_HOP.unpack_from(hops)
        if not gateway or read_attributes(hops[:length], _NEXT_HOP.size).keys() & {_RTA_GATEWAY, _RTA_VIA}:
            yield ifindex
        hops = hops[max((length + 3) & ~3, _NEXT_HOP.size) :]


def _read_number(value: bytes | None) -> int:
    return int(_NUMBER.unpack(value)[0]) if value is not None and len(value) == _NUMBER.size else 0


def _read_text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
