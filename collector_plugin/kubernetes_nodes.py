"""The addresses of a cluster's nodes, as its pods tell them: each names its node and the node's address.

Pure. So nobody need be allowed to read nodes: a node without any pod sends nothing that could be asked for.
"""

from collector_plugin.kubernetes_objects import Pod
from collector_plugin.tenures import Freshness, Tenure, TenureTable


class _KnownNode:
    __slots__ = ("pods", "tenure")

    def __init__(self, tenure: Tenure) -> None:
        self.tenure = tenure
        self.pods = 0


class NodeAddresses:
    """Which node has which address, as long as a pod says so."""

    def __init__(self, table: TenureTable, freshness: Freshness) -> None:
        """Enter the tenures into `table`; pods are known as `freshness` says."""
        self._table = table
        self._freshness = freshness
        self._nodes: dict[tuple[bytes, str], _KnownNode] = {}

    def count_in(self, pod: Pod, now_ns: int) -> None:
        """Take in what a pod tells of its node."""
        start_ns = min(pod.start_ns or now_ns, now_ns)
        for address in pod.host_addresses if pod.node else ():
            known = self._nodes.get((address, pod.node))
            if known is None:
                tenure = Tenure(self._freshness, start_ns)
                tenure.node = pod.node
                known = self._nodes[address, pod.node] = _KnownNode(tenure)
                self._table.add(address, tenure)
            known.tenure.start_ns = min(known.tenure.start_ns, start_ns)
            known.pods += 1

    def count_out(self, pod: Pod, end_ns: int, now_ns: int) -> None:
        """Let go of what a pod told, which was true until `end_ns` at least."""
        for address in pod.host_addresses if pod.node else ():
            known = self._nodes[address, pod.node]
            known.pods -= 1
            if not known.pods:
                self._table.end(address, known.tenure, end_ns, now_ns)
                del self._nodes[address, pod.node]
