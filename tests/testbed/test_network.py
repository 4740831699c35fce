"""The network carries TCP as a Kubernetes with flannel and kube-proxy does."""

import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from testbed.namespace import open_socket
from testbed.topology import (
    CART,
    CART_SERVICE,
    CATALOG,
    CATALOG_SERVICE,
    FRONTEND,
    FRONTEND_SERVICE,
    MANAGEMENT_GATEWAY,
    NODE_1,
    OVERLAY_DEVICE,
    POD_DEVICE,
    SIDECAR_INBOUND_PORT,
    UNDERLAY_DEVICE,
    VXLAN_PORT,
    Pod,
    Service,
)

pytestmark = pytest.mark.testbed

TIMEOUT_S = 60.0
ETH_P_ALL = 3
PACKET_OUTGOING = 4
BIG = 2_000_003  # bytes: a prime, some 1,400 segments


@dataclass(frozen=True)
class Exchange:
    """What the two ends of a connection saw."""

    server_peer: str
    client_address: str
    request: bytes
    response: bytes


def receive_all(connection: socket.socket) -> bytes:
    """Read until the peer has closed its direction."""
    parts: list[bytes] = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def serve_once(listener: socket.socket, response: bytes) -> tuple[str, bytes]:
    """Take one connection, read its request, answer, and return the peer's address and the request."""
    connection, peer = listener.accept()
    with connection:
        connection.settimeout(TIMEOUT_S)
        request = receive_all(connection)
        connection.sendall(response)
    return str(peer[0]), request


def exchange(client: Pod, service: Service, request: bytes, response: bytes) -> Exchange:
    """Send a request from a pod to a ClusterIP and return what both ends saw."""
    with (
        ThreadPoolExecutor(1) as server,
        open_socket(service.pod.namespace) as listener,
        open_socket(client.namespace) as connection,
    ):
        listener.settimeout(TIMEOUT_S)
        connection.settimeout(TIMEOUT_S)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(service.pod.address), SIDECAR_INBOUND_PORT))
        listener.listen()
        served = server.submit(serve_once, listener, response)
        connection.connect((str(service.cluster_address), service.port))
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = receive_all(connection)
        peer, received_request = served.result(TIMEOUT_S)
        return Exchange(peer, str(connection.getsockname()[0]), received_request, received)


@contextmanager
def capture(namespace: str, device: str) -> Iterator[socket.socket]:
    """Hold a packet socket on a device: an observer that is not ours to build."""
    with open_socket(namespace, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as packets:
        packets.bind((device, ETH_P_ALL))
        packets.settimeout(TIMEOUT_S)
        yield packets


def find_packet(packets: socket.socket, marker: bytes, *, outgoing: bool) -> bytes:
    """Return the first captured frame of the direction that contains the marker."""
    while True:
        frame, address = packets.recvfrom(1 << 16)
        if marker in frame and (address[2] == PACKET_OUTGOING) == outgoing:
            return bytes(frame)


def read_addresses(frame: bytes) -> tuple[str, str]:
    """Return source and destination of an IPv4 frame."""
    return socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])


@pytest.mark.usefixtures("two_nodes")
@pytest.mark.parametrize("pod", [FRONTEND, CART])
def test_pods_reach_the_root_namespace_as_their_node(pod: Pod) -> None:
    """A pod's spans reach a plugin in the root namespace, which sees the node's address."""
    with open_socket(pod.namespace) as client, socket.create_server((str(MANAGEMENT_GATEWAY), 0)) as listener:
        client.settimeout(TIMEOUT_S)
        listener.settimeout(TIMEOUT_S)
        client.connect(listener.getsockname())
        connection, peer = listener.accept()
        connection.close()
    assert peer[0] == str(pod.node.management_address)


@pytest.mark.usefixtures("two_nodes")
def test_root_namespace_reaches_frontend() -> None:
    """A load client in the root namespace reaches frontend's pod, which sees the client's own address."""
    with open_socket(FRONTEND.namespace) as listener:
        listener.bind((str(FRONTEND.address), 0))
        listener.listen()
        listener.settimeout(TIMEOUT_S)
        with socket.create_connection(listener.getsockname(), TIMEOUT_S):
            connection, peer = listener.accept()
            connection.close()
    assert peer[0] == str(MANAGEMENT_GATEWAY)


@pytest.mark.usefixtures("two_nodes_vxlan")
@pytest.mark.parametrize(
    ("client", "service"),
    [
        (FRONTEND, CART_SERVICE),
        (CART, CATALOG_SERVICE),
        (FRONTEND, CATALOG_SERVICE),
        (CATALOG, FRONTEND_SERVICE),
    ],
    ids=["node 1 to node 2", "node 2 to node 1", "on one node", "on one node, the other way"],
)
def test_big_bodies_pass_by_cluster_ip(client: Pod, service: Service) -> None:
    """Bodies of many segments pass whole both ways, and the server sees the client pod's own address."""
    request = hashlib.shake_128(b"request").digest(BIG)
    response = hashlib.shake_128(b"response").digest(BIG)
    seen = exchange(client, service, request, response)
    assert seen.server_peer == seen.client_address == str(client.address)
    assert seen.request == request
    assert seen.response == response


@pytest.mark.usefixtures("two_nodes_vxlan")
def test_pod_reaches_itself_by_its_service() -> None:
    """A pod that asks its own service meets its node's address (hairpin), as with kube-proxy."""
    seen = exchange(CART, CART_SERVICE, b"request", b"response")
    assert (seen.server_peer, seen.response) == (str(CART.node.gateway), b"response")


@pytest.mark.usefixtures("two_nodes_vxlan")
def test_same_node_packets_pass_both_host_veths() -> None:
    """On one node request and response pass the host veth of either pod, before and behind the DNAT."""
    with (
        capture(NODE_1.namespace, FRONTEND.host_veth) as client,
        capture(NODE_1.namespace, CATALOG.host_veth) as server,
    ):
        exchange(FRONTEND, CATALOG_SERVICE, b"the request", b"the response")
        ways = [
            read_addresses(find_packet(client, b"the request", outgoing=False)),
            read_addresses(find_packet(server, b"the request", outgoing=True)),
            read_addresses(find_packet(server, b"the response", outgoing=False)),
            read_addresses(find_packet(client, b"the response", outgoing=True)),
        ]
    frontend, catalog, cluster = str(FRONTEND.address), str(CATALOG.address), str(CATALOG_SERVICE.cluster_address)
    assert ways == [(frontend, cluster), (frontend, catalog), (catalog, frontend), (cluster, frontend)]


@pytest.mark.usefixtures("two_nodes_vxlan")
def test_packets_between_nodes_are_encapsulated() -> None:
    """Between the nodes a packet passes pod, host veth and overlay device bare, and the underlay inside VXLAN."""
    places = [
        (FRONTEND.namespace, POD_DEVICE, True),
        (NODE_1.namespace, FRONTEND.host_veth, False),
        (NODE_1.namespace, OVERLAY_DEVICE, True),
        (CART.node.namespace, OVERLAY_DEVICE, False),
        (CART.node.namespace, CART.host_veth, True),
        (CART.namespace, POD_DEVICE, False),
    ]
    frontend, cart, cluster = str(FRONTEND.address), str(CART.address), str(CART_SERVICE.cluster_address)
    with ExitStack() as stack:
        wire = stack.enter_context(capture(NODE_1.namespace, UNDERLAY_DEVICE))
        captures = [stack.enter_context(capture(namespace, device)) for namespace, device, _ in places]
        exchange(FRONTEND, CART_SERVICE, b"the request", b"the response")
        frames = [
            find_packet(packets, b"the request", outgoing=outgoing)
            for packets, (_, _, outgoing) in zip(captures, places, strict=True)
        ]
        outer = find_packet(wire, b"the request", outgoing=True)
    ways = [read_addresses(frame) for frame in frames]
    assert ways == [(frontend, cluster)] * 2 + [(frontend, cart)] * 4
    assert read_addresses(outer) == (str(NODE_1.underlay_address), str(CART.node.underlay_address))
    assert int.from_bytes(outer[36:38]) == VXLAN_PORT
