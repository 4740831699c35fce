"""Opens connections whose opener begins with a sequence number of choice, which TCP_REPAIR sets on a closed socket.

Needs CAP_NET_ADMIN. The number of the end that accepts is the kernel's secret (RFC 6528): for a response's number of
choice the server opens the connection, which is all the same to HTTP and to whoever reads packets.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager

from testbed.topology import CART, FRONTEND
from tests.testbed.talk import TIMEOUT_S, Connection, listening, open_end, route_directly

SEQUENCE_NUMBERS = 1 << 32

_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ = 19, 20, 21
_SEND_QUEUE = 2
_OFF, _ON = 0, 1


@contextmanager
def connected_from(number: int, port: int, *, by_server: bool) -> Iterator[Connection]:
    """Hold a connection between frontend, the client, and cart; the opener's first byte has the number modulo 2^32.

    Where the server opens, `port` is the client's. Numbers that are chosen come again on other connections, which no
    kernel's do: so each connection needs a port of its own, or their messages would have all in common.
    """
    opens, listens = (CART, FRONTEND) if by_server else (FRONTEND, CART)
    route = route_directly(opens.namespace, listens.namespace, listens.address, port)
    with listening(route) as listener, closing(open_end(route)) as opener:
        opener.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _ON)
        opener.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _SEND_QUEUE)
        # Packed, since Python's option is a signed int. The SYN takes a number itself.
        syn = struct.pack("=I", (number - 1) % SEQUENCE_NUMBERS)
        opener.setsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ, syn)
        opener.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _OFF)
        opener.connect(route.asked_at)
        other, _ = listener.accept()
        other.settimeout(TIMEOUT_S)
        connection = Connection(other, opener) if by_server else Connection(opener, other)
        yield connection
        connection.abort()
