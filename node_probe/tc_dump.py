"""Asks the kernel for the filters and chains of a device's clsact, in rtnetlink's own words.

Pyroute2 knows neither chains nor a filter's program. Speaks for the network namespace that the calling thread is in.
Layout (linux/rtnetlink.h, pkt_sched.h, pkt_cls.h): tcmsg, then attributes.
"""

import errno
import socket
import struct
from collections.abc import Iterator

import msgspec

from node_probe.rtnetlink import Channel, read_attributes

_RTM_NEWTFILTER, _RTM_GETTFILTER = 44, 46
_RTM_NEWCHAIN, _RTM_GETCHAIN = 100, 102

_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_NAME, _TCA_BPF_ID = 7, 11

_TC_MESSAGE = struct.Struct("=B3xiIII")
_NUMBER = struct.Struct("=I")

NO_SUCH_PLACE = frozenset({errno.ENOENT, errno.EINVAL, errno.ENODEV})
"""What rtnetlink answers where the device, its clsact or the filter went in the meantime, or never was."""


class TcFilter(msgspec.Struct, frozen=True):
    """A filter or, with handle 0, the classifier that holds some. `protocol` is in the host's byte order."""

    kind: str
    handle: int
    priority: int
    protocol: int
    name: str
    """Of a bpf filter that was given one, else empty."""
    program_id: int
    """Of an eBPF filter, else 0."""


def dump_filters(ifindex: int, parent: int) -> list[TcFilter]:
    """Return all filters at `parent` (a side of the clsact) of the device, of every chain. Raises OSError."""
    found = []
    for handle, info, attributes in _dump(_RTM_GETTFILTER, _RTM_NEWTFILTER, ifindex, parent):
        options = read_attributes(attributes.get(_TCA_OPTIONS, b""))
        item = TcFilter(
            kind=_read_text(attributes.get(_TCA_KIND, b"")),
            handle=handle,
            priority=info >> 16,
            protocol=socket.ntohs(info & 0xFFFF),
            name=_read_text(options.get(_TCA_BPF_NAME, b"")),
            program_id=_NUMBER.unpack_from(options.get(_TCA_BPF_ID, bytes(_NUMBER.size)))[0],
        )
        # Of other kinds the options have other meanings.
        found.append(item if item.kind == "bpf" else msgspec.structs.replace(item, name="", program_id=0))
    return found


def has_chains(ifindex: int, parent: int) -> bool:
    """Return whether there is a chain, which may be without a filter (`tc chain add`). Raises OSError."""
    return any(True for _ in _dump(_RTM_GETCHAIN, _RTM_NEWCHAIN, ifindex, parent))


def _dump(request: int, answer: int, ifindex: int, parent: int) -> Iterator[tuple[int, int, dict[int, bytes]]]:
    """Yield handle, info and attributes of each answer."""
    try:
        with Channel() as channel:
            bodies = channel.dump(request, answer, _TC_MESSAGE.pack(0, ifindex, 0, parent, 0))
    except OSError as error:
        if error.errno in NO_SUCH_PLACE:
            return
        raise
    for body in bodies:
        _, _, handle, _, info = _TC_MESSAGE.unpack_from(body)
        yield handle, info, read_attributes(body, _TC_MESSAGE.size)


def _read_text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
