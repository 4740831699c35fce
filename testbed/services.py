"""Gives a node the rules of kube-proxy (iptables mode) for the ClusterIP services.

Turns the topology into input of iptables-restore; no IO.
"""

from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network

from testbed.topology import POD_NETWORK, SERVICES, SIDECAR_INBOUND_PORT, Service

_MASQUERADE_MARK = "0x4000/0x4000"
"""kube-proxy's default bit."""

_OTHERS = IPv4Network("10.98.0.0/16")
"""Cluster addresses of services of others, one each: beside ours in Kubernetes's usual 10.96.0.0/12."""

_ELSEWHERE = IPv4Network("10.245.0.0/16")
"""Addresses of their endpoints, on no node of ours."""

_HEAD = f"""\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark {_MASQUERADE_MARK} -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
"""


def render_service_rules(others: int = 0) -> str:
    """Return the text for `iptables-restore --noflush`, the same on every node.

    With services of `others`, theirs come first: whoever asks one of ours passes all their rules, which is the worst
    of the orders that kube-proxy may write.
    """
    portals = "".join(_render_portal(_other(number)) for number in range(others))
    return _HEAD + portals + "".join(_render_service(service) for service in SERVICES) + "COMMIT\n"


@dataclass(frozen=True)
class _Portal:
    """A service with its one endpoint."""

    name: str
    cluster_address: IPv4Address
    port: int
    address: IPv4Address
    """Of its endpoint."""

    @property
    def endpoint(self) -> str:
        return f"{self.address}:{SIDECAR_INBOUND_PORT}"

    @property
    def service_chain(self) -> str:
        return "KUBE-SVC-" + _hash_name(self.name + "tcp")

    @property
    def endpoint_chain(self) -> str:
        return "KUBE-SEP-" + _hash_name(self.name + "tcp" + self.endpoint)


def _other(number: int) -> _Portal:
    return _Portal(f"crowd/service-{number}:http", _OTHERS[number], 80, _ELSEWHERE[number])


def _render_service(service: Service) -> str:
    return _render_portal(
        _Portal(f"shop/{service.name}:http", service.cluster_address, service.port, service.pod.address)
    )


def _render_portal(portal: _Portal) -> str:
    to_service = f"-d {portal.cluster_address}/32 -p tcp -m tcp --dport {portal.port}"
    return (
        f":{portal.service_chain} - [0:0]\n"
        f":{portal.endpoint_chain} - [0:0]\n"
        f'-A KUBE-SERVICES {to_service} -m comment --comment "{portal.name} cluster IP" '
        f"-j {portal.service_chain}\n"
        f"-A {portal.service_chain} ! -s {POD_NETWORK} {to_service} -j KUBE-MARK-MASQ\n"
        f'-A {portal.service_chain} -m comment --comment "{portal.name} -> {portal.endpoint}" '
        f"-j {portal.endpoint_chain}\n"
        # A pod that reaches itself by its service must not see its own address as the peer's (hairpin).
        f"-A {portal.endpoint_chain} -s {portal.address}/32 -j KUBE-MARK-MASQ\n"
        f"-A {portal.endpoint_chain} -p tcp -m tcp -j DNAT --to-destination {portal.endpoint}\n"
    )


def _hash_name(text: str) -> str:
    """Return 16 characters of base32 of SHA-256, as kube-proxy names its chains (28 characters are the limit)."""
    return b32encode(sha256(text.encode()).digest())[:16].decode()
