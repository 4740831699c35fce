"""Tells that the devices or routes of a network namespace changed, not what: a subscription to rtnetlink."""

import errno
import socket

# linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV4_ROUTE.
_GROUPS = 0x1 | 0x40


class ChangeWatch:
    """Tells that devices or routes of the namespace changed, not what."""

    def __init__(self) -> None:
        """Subscribe in the caller's namespace."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, _GROUPS))
        self._socket.settimeout(0)

    def drain(self) -> bool:
        """Return whether anything changed since the last call."""
        changed = False
        while True:
            try:
                self._socket.recv(1 << 16)
            except BlockingIOError:
                return changed
            except OSError as error:
                # ENOBUFS: more changes than the socket's buffer holds; that something changed is all we ask.
                if error.errno != errno.ENOBUFS:
                    raise
            changed = True

    def close(self) -> None:
        """End the subscription."""
        self._socket.close()
