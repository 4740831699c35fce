"""The wire watch reads requests out of frames, passes over everything else, and says so when it lost something."""

import re
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import TestbedError
from testbed.namespace import open_socket
from testbed.topology import CART_SERVICE, FRONTEND, POD_DEVICE
from testbed.wire_watch import WireRequest, WireWatch, read_request

TRACE_ID, PARENT_ID = bytes(range(16)), bytes(range(0xA0, 0xA8))
CONTEXT = f"00-{TRACE_ID.hex()}-{PARENT_ID.hex()}-01"
REQUEST = f"GET /cart HTTP/1.1\r\nhost: cart\r\ntraceparent: {CONTEXT}\r\naccept: */*\r\n\r\n"
SEEN = WireRequest(CART_SERVICE.cluster_address, CART_SERVICE.port, TRACE_ID, PARENT_ID)


def build_frame(
    payload: str = REQUEST,
    *,
    ethertype: int = 0x0800,
    protocol: int = 6,
    version: int = 4,
    fragment: int = 0x4000,
    ip_options: bytes = b"",
    tcp_options: bytes = b"\x01\x01\x08\x0a" + bytes(8),
    padding: bytes = b"",
) -> bytes:
    """Return an Ethernet frame from the frontend's pod to the cart service."""
    tcp = struct.pack("!HHIIBBHHH", 40000, CART_SERVICE.port, 1, 1, (20 + len(tcp_options)) << 2, 0x18, 500, 0, 0)
    segment = tcp + tcp_options + payload.encode()
    length = 20 + len(ip_options) + len(segment)
    first = version << 4 | (20 + len(ip_options)) >> 2
    addresses = FRONTEND.address.packed + CART_SERVICE.cluster_address.packed
    head = struct.pack("!BBHHHBBH8s", first, 0, length, 7, fragment, 64, protocol, 0, addresses)
    return bytes(12) + struct.pack("!H", ethertype) + head + ip_options + segment + padding


TABLE = [
    ("a request", build_frame(), SEEN),
    ("a name in other letters", build_frame(REQUEST.replace("traceparent", "TraceParent")), SEEN),
    ("blanks around the value", build_frame(REQUEST.replace(f" {CONTEXT}", f"\t{CONTEXT}  ")), SEEN),
    ("the context is the last header", build_frame(REQUEST.replace("accept: */*\r\n", "")), SEEN),
    ("another method", build_frame(REQUEST.replace("GET", "DELETE")), SEEN),
    ("options of IP, none of TCP", build_frame(ip_options=bytes(8), tcp_options=b""), SEEN),
    ("no header but the context", build_frame(f"GET / HTTP/1.1\r\ntraceparent: {CONTEXT}\r\n\r\n"), SEEN),
    ("a padded frame", build_frame(padding=bytes(6)), SEEN),
    ("padding is no header", build_frame(REQUEST[:-2], padding=b"\r\n"), None),
    ("no context", build_frame("GET /cart HTTP/1.1\r\nhost: cart\r\n\r\n"), None),
    ("a context in the body", build_frame(f"GET / HTTP/1.1\r\na: b\r\n\r\ntraceparent: {CONTEXT}\r\n\r\n"), None),
    ("a name that only ends like it", build_frame(REQUEST.replace("traceparent", "x-traceparent")), None),
    ("ids in capitals", build_frame(REQUEST.replace(CONTEXT, CONTEXT.upper())), None),
    ("a short id", build_frame(REQUEST.replace(CONTEXT, CONTEXT.replace("-a0", "-"))), None),
    ("a response", build_frame(f"HTTP/1.1 200 OK\r\ntraceparent: {CONTEXT}\r\n\r\n"), None),
    ("a header block that goes on in the next packet", build_frame(REQUEST[:-2]), None),
    ("an acknowledgement", build_frame(""), None),
    ("IPv6", build_frame(ethertype=0x86DD), None),
    ("ARP", build_frame(ethertype=0x0806), None),
    ("UDP", build_frame(protocol=17), None),
    ("not version 4", build_frame(version=6), None),
    ("a later fragment", build_frame(fragment=0x2003), None),
]


@pytest.mark.parametrize(("frame", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_frames(frame: bytes, expected: WireRequest | None) -> None:
    """Each frame gives its request, or nothing."""
    assert read_request(frame) == expected


def test_every_prefix_is_no_request() -> None:
    """A frame cut anywhere gives nothing and no exception."""
    frame = build_frame()
    assert {read_request(frame[:length]) for length in range(len(frame))} == {None}


@given(st.binary(max_size=100), st.integers(0, 60))
def test_bytes_of_any_kind(noise: bytes, place: int) -> None:
    """Headers overwritten with anything raise nothing, and what is read still has ids of the right length."""
    seen = read_request(build_frame()[:place] + noise + build_frame()[place + len(noise) :])
    assert seen is None or (len(seen.trace_id), len(seen.parent_id)) == (16, 8)


@pytest.mark.testbed
@pytest.mark.usefixtures("two_nodes")
def test_lost_packets_are_told() -> None:
    """A capture that overflowed is not taken for a whole one."""
    with open_socket(FRONTEND.namespace, socket.AF_PACKET, socket.SOCK_RAW) as pod:
        pod.bind((POD_DEVICE, 0))
        watch = WireWatch(FRONTEND.node.namespace, FRONTEND.host_veth)
        for _ in range(1009):
            pod.send(bytes(12) + b"\x88\xb5" + bytes(1400))
        with watch, pytest.raises(TestbedError, match=f"{FRONTEND.host_veth}: the capture lost [0-9]+ packets"):
            watch.stop()


@pytest.mark.testbed
@pytest.mark.usefixtures("two_nodes")
def test_requests_are_captured_in_order() -> None:
    """What a pod sends is seen once each, what goes to the pod is not."""
    frames = [build_frame(REQUEST.replace(PARENT_ID.hex(), f"{number:016x}")) for number in range(1, 24)]
    with (
        open_socket(FRONTEND.namespace, socket.AF_PACKET, socket.SOCK_RAW) as pod,
        open_socket(FRONTEND.node.namespace, socket.AF_PACKET, socket.SOCK_RAW) as host,
        WireWatch(FRONTEND.node.namespace, FRONTEND.host_veth) as watch,
    ):
        pod.bind((POD_DEVICE, 0))
        host.bind((FRONTEND.host_veth, 0))
        for frame in frames:
            host.send(build_frame())
            pod.send(frame)
        seen = watch.stop()
    assert [int.from_bytes(request.parent_id) for request in seen] == list(range(1, 24))
    assert {(request.address, request.trace_id) for request in seen} == {(SEEN.address, TRACE_ID)}


@pytest.mark.testbed
@pytest.mark.usefixtures("two_nodes")
def test_missing_device_is_named() -> None:
    """A device that is not there is named with its namespace."""
    place = re.escape(f"veth-none in {FRONTEND.node.namespace}")
    with pytest.raises(TestbedError, match=place):
        WireWatch(FRONTEND.node.namespace, "veth-none")
