"""Builds frames as they lie in an skb: Ethernet, IPv4 or IPv6, TCP, and VXLAN around them. Checksums are left 0."""

import ipaddress
import struct

CLIENT = "10.244.1.10"
SERVER = "10.96.0.20"
NODE_1 = "172.30.0.1"
NODE_2 = "172.30.0.2"
CLIENT_6 = "fd00:10:244:1::10"
SERVER_6 = "fd00:10:96::20"
NODE_1_6 = "fd00:172:30::1"
NODE_2_6 = "fd00:172:30::2"
CLIENT_PORT = 40000
SERVER_PORT = 80
SEQ = 0xFFFFFFF0  # close to the wrap, so that a test never depends on a small number
ACK = 7000
TSVAL = 0x01020304

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


def make_timestamps(tsval: int) -> bytes:
    """Return the TCP option, behind two no-operations."""
    return b"\x01\x01\x08\x0a" + struct.pack("!II", tsval, 1)


TIMESTAMPS, LATER_TIMESTAMPS = make_timestamps(TSVAL), make_timestamps(TSVAL + 200)


def ethernet(payload: bytes, ether_type: int = 0x0800) -> bytes:
    return b"\x02\0\0\0\0\2\x02\0\0\0\0\1" + struct.pack("!H", ether_type) + payload


def ipv4(
    payload: bytes, protocol: int, source: str, destination: str, *, options: bytes = b"", fragment: int = 0
) -> bytes:
    head = 5 + len(options) // 4
    return (
        struct.pack(
            "!BBHHHBBH4s4s",
            0x40 | head,
            0,
            head * 4 + len(payload),
            1,
            fragment,
            64,
            protocol,
            0,
            ipaddress.IPv4Address(source).packed,
            ipaddress.IPv4Address(destination).packed,
        )
        + options
        + payload
    )


def ipv6(
    payload: bytes,
    protocol: int,
    source: str,
    destination: str,
    *,
    extensions: bytes = b"",
    length: int | None = None,
) -> bytes:
    """Return a packet; `protocol` is that of the first extension where there are any."""
    body = extensions + payload
    return (
        struct.pack("!IHBB", 6 << 28, len(body) if length is None else length, protocol, 64)
        + ipaddress.IPv6Address(source).packed
        + ipaddress.IPv6Address(destination).packed
        + body
    )


def internet(payload: bytes, protocol: int, source: str, destination: str) -> bytes:
    """Return the frame of a packet of the family that the addresses have."""
    if ":" in source:
        return ethernet(ipv6(payload, protocol, source, destination), 0x86DD)
    return ethernet(ipv4(payload, protocol, source, destination))


def tagged(frame: bytes, *tags: int, ether_type: int = 0x8100) -> bytes:
    """Return the frame with VLAN tags, the outermost first."""
    for tag in reversed(tags):
        frame = frame[:12] + struct.pack("!HH", ether_type, tag) + frame[12:]
    return frame


def tcp(payload: bytes, ports: tuple[int, int], seq: int, ack: int, options: bytes = TIMESTAMPS) -> bytes:
    offset = 5 + len(options) // 4
    return struct.pack("!HHIIBBHHH", *ports, seq, ack, offset << 4, 0x18, 500, 0, 0) + options + payload


def request(
    payload: bytes,
    *,
    seq: int = SEQ,
    ack: int = ACK,
    options: bytes = TIMESTAMPS,
    ip_options: bytes = b"",
    client_port: int = CLIENT_PORT,
    client: str = CLIENT,
    server: str = SERVER,
    fragment: int = 0,
) -> bytes:
    """Return the frame of a packet from client to server."""
    segment = tcp(payload, (client_port, SERVER_PORT), seq, ack, options)
    return ethernet(ipv4(segment, 6, client, server, options=ip_options, fragment=fragment))


def response(
    payload: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    *,
    seq: int = ACK,
    ack: int = SEQ,
    options: bytes = TIMESTAMPS,
    client_port: int = CLIENT_PORT,
    client: str = CLIENT,
    server: str = SERVER,
) -> bytes:
    """Return the frame of a packet from server to client."""
    return internet(tcp(payload, (SERVER_PORT, client_port), seq, ack, options), 6, server, client)


def request_6(payload: bytes, *, client_port: int, seq: int = SEQ, server: str = SERVER_6) -> bytes:
    """Return the frame of an IPv6 packet from client to server."""
    return internet(tcp(payload, (client_port, SERVER_PORT), seq, ACK), 6, CLIENT_6, server)


def vxlan(inner: bytes, *, port: int = 8472, vni: int = 1, source: str = NODE_1, destination: str = NODE_2) -> bytes:
    """Return the frame that carries `inner` between the nodes."""
    body = struct.pack("!II", 0x08000000, vni << 8) + inner
    udp = struct.pack("!HHHH", 50000, port, 8 + len(body), 0) + body
    return internet(udp, 17, source, destination)


def http_request(*lines: str, body: bytes = b"", method: str = "GET") -> bytes:
    """Return a request whose header lines are `lines`."""
    head = "\r\n".join([f"{method} /cart HTTP/1.1", "host: cart", *lines, "", ""])
    return head.encode("latin-1") + body


def traced_request(traceparent: str = TRACEPARENT, name: str = "traceparent", padding: int = 0) -> bytes:
    """Return a request with a traceparent behind `padding` bytes of another header."""
    before = [f"x-padding: {'a' * padding}"] if padding else []
    return http_request(*before, f"{name}: {traceparent}", "accept: */*")
