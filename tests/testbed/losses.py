"""Loses and delays packets on their way through a node's forwarding, by iptables and packet sockets alone."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.command import run_ip_batch
from testbed.faults import ruled
from testbed.namespace import open_socket, write_sysctls
from testbed.topology import CART, FRONTEND, OVERLAY_DEVICE, POD_DEVICE, Node, Pod, mac_of
from tests.testbed.talk import TIMEOUT_S

BOTH_PODS = (FRONTEND, CART)
ETH_P_ALL = 3
FRAME_BYTES = 1 << 17
_IP, _TCP, _CHECKSUM = 14, 20, 16
"""Offsets: of IPv4 in a frame, of TCP in a packet without options, of the checksum in a segment."""

MARK = "X-Unlucky: yes"
"""A header line of the messages that may be lost."""

# Without selective acknowledgements nothing tells the sender which segment is late, and it waits for three hints.
_PATIENT = {"net/ipv4/tcp_sack": "0", "net/ipv4/tcp_early_retrans": "0"}
_HASTY = {"net/ipv4/tcp_sack": "1", "net/ipv4/tcp_early_retrans": "3"}

RESEND_MS = 30
"""The least time until a segment is sent again: more than a tick of TSval, and less than Linux's 200 ms."""


@contextmanager
def losing(node: Node, *, every: int = 2, mark: str = MARK) -> Iterator[None]:
    """Lose every n-th packet with the mark while the node forwards it, the first of them to begin with."""
    rule = ("-p", "tcp", "-m", "string", "--algo", "bm", "--string", mark)
    turn = () if every == 1 else ("-m", "statistic", "--mode", "nth", "--every", str(every), "--packet", "0")
    with ruled(node.namespace, "mangle", "FORWARD", *rule, *turn, "-j", "DROP"):
        yield


@contextmanager
def resending_soon(*pods: Pod) -> Iterator[None]:
    """Let the pods' TCP send again early."""
    _change_routes(pods, f" rto_min {RESEND_MS}ms")
    try:
        yield
    finally:
        _change_routes(pods, "")


@contextmanager
def without_timestamps(*pods: Pod) -> Iterator[None]:
    """Let the pods' TCP offer no timestamps."""
    for pod in pods:
        write_sysctls(pod.namespace, {"net/ipv4/tcp_timestamps": "0"})
    try:
        yield
    finally:
        for pod in pods:
            write_sysctls(pod.namespace, {"net/ipv4/tcp_timestamps": "1"})


class Detour:
    """Takes marked packets out of node-2's forwarding to cart, and lets them go on when told: late, so reordered."""

    def __init__(self, incoming: socket.socket, outgoing: socket.socket) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def release(self, mark: bytes) -> None:
        """Let the packet with the mark go on to the pod, whose device it enters as the node would have sent it."""
        while mark not in (frame := self._incoming.recv(FRAME_BYTES)):
            continue
        macs = bytes.fromhex((CART.mac + mac_of(CART.node.gateway)).replace(":", ""))
        self._outgoing.send(macs + frame[12:_IP] + sum_up_segment(frame[_IP:]))


@contextmanager
def detour() -> Iterator[Detour]:
    """Hold a detour for all packets with the mark. New connections of frontend take none of them for lost."""
    node = CART.node
    write_sysctls(FRONTEND.namespace, _PATIENT)
    try:
        with _opened_detour(node) as held:
            yield held
    finally:
        write_sysctls(FRONTEND.namespace, _HASTY)


@contextmanager
def _opened_detour(node: Node) -> Iterator[Detour]:
    with (
        losing(node, every=1),
        open_socket(node.namespace, socket.AF_PACKET, socket.SOCK_RAW, 0) as incoming,
        open_socket(node.namespace, socket.AF_PACKET, socket.SOCK_RAW, 0) as outgoing,
    ):
        incoming.bind((OVERLAY_DEVICE, ETH_P_ALL))
        incoming.settimeout(TIMEOUT_S)
        outgoing.bind((CART.host_veth, 0))
        yield Detour(incoming, outgoing)


def sum_up_segment(packet: bytes) -> bytes:
    """Return an IPv4 packet without options with its TCP checksum (RFC 9293 section 3.1), which veths leave open."""
    segment = packet[_TCP : _TCP + _CHECKSUM] + bytes(2) + packet[_TCP + _CHECKSUM + 2 :]
    summed = packet[12:20] + struct.pack("!HH", socket.IPPROTO_TCP, len(segment)) + segment + bytes(len(segment) % 2)
    total = sum(word for (word,) in struct.iter_unpack("!H", summed))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return packet[:_TCP] + segment[:_CHECKSUM] + struct.pack("!H", ~total & 0xFFFF) + segment[_CHECKSUM + 2 :]


def _change_routes(pods: tuple[Pod, ...], options: str) -> None:
    for pod in pods:
        run_ip_batch([f"route change default via {pod.node.gateway} dev {POD_DEVICE}{options}"], pod.namespace)
