"""Asks the kernel for the filters and chains of a device's clsact, in rtnetlink's own words.

Pyroute2 knows neither chains nor a filter's program. Speaks for the network namespace that the calling thread is in.
Layout (linux/rtnetlink.h, pkt_sched.h, pkt_cls.h): nlmsghdr, tcmsg, then attributes of length, type and value.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator

import msgspec

_RTM_NEWTFILTER, _RTM_GETTFILTER = 44, 46
_RTM_NEWCHAIN, _RTM_GETCHAIN = 100, 102
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x1 | 0x300
_TYPE_MASK = 0x3FFF

_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_NAME, _TCA_BPF_ID = 7, 11

_HEADER = struct.Struct("=IHHII")
_TC_MESSAGE = struct.Struct("=B3xiIII")
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_ERROR = struct.Struct("=i")
_RECEIVE_BYTES = 1 << 17
"""A dump comes in messages of at most 32 KiB, several to a datagram on some kernels."""

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
        options = dict(_split(attributes.get(_TCA_OPTIONS, b"")))
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
    body = _TC_MESSAGE.pack(0, ifindex, 0, parent, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
        channel.send(_HEADER.pack(_HEADER.size + len(body), request, _REQUEST_DUMP, 1, 0) + body)
        while True:
            data = channel.recv(_RECEIVE_BYTES)
            while data:
                length, kind, _, _, _ = _HEADER.unpack_from(data)
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    _check(-_ERROR.unpack_from(data, _HEADER.size)[0])
                    return
                if kind == answer:
                    _, _, handle, _, info = _TC_MESSAGE.unpack_from(data, _HEADER.size)
                    yield handle, info, dict(_split(data[_HEADER.size + _TC_MESSAGE.size : length]))
                data = data[(length + 3) & ~3 :]


def _check(code: int) -> None:
    if code not in NO_SUCH_PLACE:
        raise OSError(code, os.strerror(code))


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & _TYPE_MASK, data[_ATTRIBUTE.size : length]
        data = data[max((length + 3) & ~3, _ATTRIBUTE.size) :]


def _read_text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
