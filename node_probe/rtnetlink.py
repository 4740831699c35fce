"""Speaks rtnetlink in its own words: requests in, the bodies of the answers and their attributes out.

For what pyroute2 has no words for, and for what has to be quick: it takes ten times as long for a list of devices.
Speaks for the network namespace that the calling thread is in. Layout (linux/netlink.h): nlmsghdr, a struct of the
request's kind, then attributes of length, type and value, each padded to four bytes.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Self

import msgspec

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST = 0x1
_DUMP = 0x300
_INTERRUPTED = 0x10
_TYPE_MASK = 0x3FFF

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_RECEIVE_BYTES = 1 << 17
"""A dump comes in messages of at most 32 KiB, several to a datagram on some kernels."""

MAX_DUMPS = 5
"""A list that changes while it is read comes again, but not for ever: one with a gap is followed by the news of the
change that made the gap."""


class Message(msgspec.Struct, frozen=True):
    """One message of the kernel: an answer, or the news of a change."""

    kind: int
    flags: int
    body: bytes


class Channel:
    """A socket for requests, one after the other. Its errors are OSErrors with the kernel's number."""

    def __init__(self) -> None:
        """Open it in the caller's namespace, where it stays."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._socket.close()

    def dump(self, request: int, answer: int, body: bytes) -> list[bytes]:
        """Return the bodies of a whole list, read again where it changed meanwhile. Raises OSError."""
        for _ in range(MAX_DUMPS):
            self._send(request, _REQUEST | _DUMP, body)
            found = list(self._receive())
            if not any(message.flags & _INTERRUPTED for message in found):
                break
        return [message.body for message in found if message.kind == answer]

    def ask(self, request: int, body: bytes) -> bytes:
        """Return the body of the one answer. Raises OSError."""
        self._send(request, _REQUEST, body)
        for message in read_messages(self._socket.recv(_RECEIVE_BYTES)):
            _check(message)
            return message.body
        raise OSError(errno.EPROTO, "rtnetlink answered nothing")

    def _send(self, request: int, flags: int, body: bytes) -> None:
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), request, flags, 1, 0) + body)

    def _receive(self) -> Iterator[Message]:
        while True:
            for message in read_messages(self._socket.recv(_RECEIVE_BYTES)):
                _check(message)
                yield message
                if message.kind == _NLMSG_DONE:
                    return


def read_messages(data: bytes) -> Iterator[Message]:
    """Yield the messages of a datagram."""
    while len(data) >= _HEADER.size:
        length, kind, flags, _, _ = _HEADER.unpack_from(data)
        yield Message(kind, flags, data[_HEADER.size : length])
        data = data[max((length + 3) & ~3, _HEADER.size) :]


def read_attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return the attributes that begin at `offset`, by type; of one that is repeated, the last."""
    found = {}
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        found[kind & _TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += max((length + 3) & ~3, _ATTRIBUTE.size)
    return found


def make_attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute of a request."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def _check(message: Message) -> None:
    # A list that fails half-way ends with the number in place of nothing.
    if message.kind in (_NLMSG_ERROR, _NLMSG_DONE) and len(message.body) >= _ERROR.size:
        code = -_ERROR.unpack_from(message.body)[0]
        if code > 0:
            raise OSError(code, f"rtnetlink: {os.strerror(code)}")
