"""Names and addresses of the testbed: two nodes, three pods, three services.

The only module with addresses. Values only: no IO.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import ClassVar
from zlib import crc32

NAMESPACE_PREFIX = "hopspan-"
"""Every network namespace of the testbed starts with it, so that clean-up finds them after a crash."""

ROOT_LINK_PREFIX = "hs-"
"""Every link of the testbed in the root namespace starts with it."""

UNDERLAY_NETWORK = IPv4Network("172.30.0.0/24")
POD_NETWORK = IPv4Network("10.244.0.0/16")
"""Flannel's default."""

MANAGEMENT_NETWORK = IPv4Network("198.18.0.0/24")
"""RFC 2544's benchmark range: no host of a real network has an address in it."""

MANAGEMENT_BRIDGE = "hs-mgmt"
MANAGEMENT_GATEWAY = MANAGEMENT_NETWORK[1]
"""The root namespace, where the plugin listens."""

UNDERLAY_DEVICE = "eth0"
UNDERLAY_MTU_BYTES = 1500
OVERLAY_DEVICE = "flannel.1"
OVERLAY_MTU_BYTES = 1450
"""1500 less outer Ethernet (14), IPv4 (20), UDP (8) and VXLAN (8)."""

BRIDGE_DEVICE = "cni0"
MANAGEMENT_DEVICE = "mgmt0"
POD_DEVICE = "eth0"
VXLAN_ID = 1
VXLAN_PORT = 8472
"""The kernel's default, and so flannel's."""

SIDECAR_INBOUND_PORT = 8080
SIDECAR_OUTBOUND_PORT = 15001
SIDECAR_ADMIN_PORT = 9901
APPLICATION_PORT = 8081
READY_LINE = "application ready"
"""What an application prints when it listens."""

PLUGIN_ENDPOINT = f"{MANAGEMENT_GATEWAY}:24317"
"""Where applications and sidecars send their spans: collector-plugin's OTLP gRPC receiver."""


@dataclass(frozen=True)
class Networks:
    """Where the nodes of a cluster have their addresses, each by its number."""

    underlay: IPv4Network
    pods: IPv4Network
    management: IPv4Network
    root_link_prefix: str


class NumberedNode:
    """What a node has by its number, in the networks of its cluster."""

    networks: ClassVar[Networks]
    number: int

    @property
    def underlay_address(self) -> IPv4Address:
        return self.networks.underlay[self.number]

    @property
    def pod_network(self) -> IPv4Network:
        """The node's pod CIDR, the third byte of which is its number."""
        return list(self.networks.pods.subnets(new_prefix=24))[self.number]

    @property
    def overlay_address(self) -> IPv4Address:
        """The first address of the pod CIDR, which flannel gives to its VXLAN device."""
        return self.pod_network[0]

    @property
    def overlay_mac(self) -> str:
        return mac_of(self.overlay_address)

    @property
    def management_address(self) -> IPv4Address:
        return self.networks.management[10 + self.number]

    @property
    def management_link(self) -> str:
        """The root namespace's end of the management link."""
        return f"{self.networks.root_link_prefix}mgmt-{self.number}"


@dataclass(frozen=True)
class Node(NumberedNode):
    """A node: a network namespace with an underlay device, an overlay device and a bridge."""

    networks = Networks(UNDERLAY_NETWORK, POD_NETWORK, MANAGEMENT_NETWORK, ROOT_LINK_PREFIX)
    name: str
    number: int

    @property
    def namespace(self) -> str:
        return NAMESPACE_PREFIX + self.name

    @property
    def gateway(self) -> IPv4Address:
        """The bridge's address, by which the node's pods leave."""
        return self.pod_network[1]


@dataclass(frozen=True)
class Pod:
    """A pod: a network namespace with one veth pair to its node."""

    service: str
    node: Node
    host_number: int

    @property
    def name(self) -> str:
        return f"{self.service}-0"

    @property
    def namespace(self) -> str:
        return NAMESPACE_PREFIX + self.service

    @property
    def address(self) -> IPv4Address:
        return self.node.pod_network[self.host_number]

    @property
    def mac(self) -> str:
        return mac_of(self.address)

    @property
    def host_veth(self) -> str:
        """The node's end of the pod's veth pair, named in the manner of CNI plugins."""
        return f"veth{crc32(self.name.encode()):08x}"

    @property
    def url(self) -> str:
        """The sidecar's inbound listener."""
        return f"http://{self.address}:{SIDECAR_INBOUND_PORT}"


@dataclass(frozen=True)
class Service:
    """A ClusterIP service with one endpoint."""

    name: str
    cluster_address: IPv4Address
    port: int
    pod: Pod


def mac_of(address: IPv4Address) -> str:
    """Return the MAC that CNI's bridge plugin derives from an address: 0a:58 and its four bytes."""
    return "0a:58:" + address.packed.hex(":")


NODE_1 = Node("node-1", 1)
NODE_2 = Node("node-2", 2)
NODES = (NODE_1, NODE_2)

FRONTEND = Pod("frontend", NODE_1, 10)
CATALOG = Pod("catalog", NODE_1, 11)
CART = Pod("cart", NODE_2, 10)
PODS = (FRONTEND, CATALOG, CART)

CART_SERVICE = Service("cart", IPv4Address("10.96.0.20"), 80, CART)
CATALOG_SERVICE = Service("catalog", IPv4Address("10.96.0.21"), 80, CATALOG)
FRONTEND_SERVICE = Service("frontend", IPv4Address("10.96.0.22"), 80, FRONTEND)
SERVICES = (CART_SERVICE, CATALOG_SERVICE, FRONTEND_SERVICE)

CHECKOUT_URL = f"{FRONTEND.url}/checkout"
"""The request that the demo, the tests and the evaluation send from the root namespace."""
