"""Names and addresses of the two-node Kubernetes, all others than the testbed's but the devices'. Values only: no IO.

The nodes have the addresses of RFC 2544's benchmark range, which no host of a real network has.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network

from testbed.topology import Networks, NumberedNode

NAMESPACE_PREFIX = "hskube-"
"""Every network namespace of a node starts with it, so that clean-up finds them after a crash."""

ROOT_LINK_PREFIX = "hk-"
"""Every link in the root namespace starts with it."""

CGROUP = "hskube"
"""All containers' cgroups lie below it."""

MANAGEMENT_NETWORK = IPv4Network("198.18.1.0/24")
UNDERLAY_NETWORK = IPv4Network("198.18.2.0/24")
POD_NETWORK = IPv4Network("198.19.0.0/16")
SERVICE_NETWORK = IPv4Network("198.18.128.0/20")
DNS_ADDRESS = SERVICE_NETWORK[10]
CLUSTER_DOMAIN = "cluster.local"

MANAGEMENT_BRIDGE = "hk-mgmt"
MACHINE = MANAGEMENT_NETWORK[1]
"""The root namespace: the API server is there, and whatever pods are to reach outside of the cluster."""

API_PORT = 6443
API_SERVER = f"https://{MACHINE}:{API_PORT}"


@dataclass(frozen=True)
class Node(NumberedNode):
    """A node of the cluster: namespaces of its own, with the devices that flannel gives one."""

    networks = Networks(UNDERLAY_NETWORK, POD_NETWORK, MANAGEMENT_NETWORK, ROOT_LINK_PREFIX)
    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def namespace(self) -> str:
        return f"{NAMESPACE_PREFIX}{self.name}"


NODE_1, NODE_2 = NODES = (Node(1), Node(2))
