"""Gives a node the rules of kube-proxy (iptables mode) for the ClusterIP services.

Turns the topology into input of iptables-restore; no IO.
"""

from base64 import b32encode
from hashlib import sha256

from testbed.topology import POD_NETWORK, SERVICES, SIDECAR_INBOUND_PORT, Service

_MASQUERADE_MARK = "0x4000/0x4000"
"""kube-proxy's default bit."""

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


def render_service_rules() -> str:
    """Return the text for `iptables-restore --noflush`, the same on every node."""
    return _HEAD + "".join(_render_service(service) for service in SERVICES) + "COMMIT\n"


def _render_service(service: Service) -> str:
    name = f"shop/{service.name}:http"
    endpoint = f"{service.pod.address}:{SIDECAR_INBOUND_PORT}"
    service_chain = "KUBE-SVC-" + _hash_name(name + "tcp")
    endpoint_chain = "KUBE-SEP-" + _hash_name(name + "tcp" + endpoint)
    to_service = f"-d {service.cluster_address}/32 -p tcp -m tcp --dport {service.port}"
    return (
        f":{service_chain} - [0:0]\n"
        f":{endpoint_chain} - [0:0]\n"
        f'-A KUBE-SERVICES {to_service} -m comment --comment "{name} cluster IP" -j {service_chain}\n'
        f"-A {service_chain} ! -s {POD_NETWORK} {to_service} -j KUBE-MARK-MASQ\n"
        f'-A {service_chain} -m comment --comment "{name} -> {endpoint}" -j {endpoint_chain}\n'
        # A pod that reaches itself by its service must not see its own address as the peer's (hairpin).
        f"-A {endpoint_chain} -s {service.pod.address}/32 -j KUBE-MARK-MASQ\n"
        f"-A {endpoint_chain} -p tcp -m tcp -j DNAT --to-destination {endpoint}\n"
    )


def _hash_name(text: str) -> str:
    """Return 16 characters of base32 of SHA-256, as kube-proxy names its chains (28 characters are the limit)."""
    return b32encode(sha256(text.encode()).digest())[:16].decode()
