"""Lets one process at a time own the testbed of this machine, or another thing whose names and addresses are fixed.

The lock is an abstract Unix socket: the kernel frees it when the owner dies, and no file is left.
"""

import socket
import struct

from testbed.errors import TestbedError

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


def take_lock(what: str = "testbed") -> socket.socket:
    """Take the lock, which closing the socket gives back. Raises TestbedError that names the owner."""
    address = f"\0hopspan-{what}"
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(address)
        lock.listen()
    except OSError as error:
        lock.close()
        raise TestbedError(f"the {what} is in use by {_describe_owner(address)}: stop that first") from error
    return lock


def _describe_owner(address: str) -> str:
    """Name the process that holds the lock: the kernel keeps who called listen(2)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(0)  # the owner accepts nobody, so its queue may be full
        try:
            client.connect(address)
            raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return "another process"
    return f"process {_CREDENTIALS.unpack(raw)[0]}"
