"""The pods, services and nodes of a cluster as it was told of them, and the tenures of their addresses.

Pure: no clock, no lock; one thread at a time changes it.
"""

import collections

import msgspec

from collector_plugin.kubernetes_nodes import NodeAddresses
from collector_plugin.kubernetes_objects import Labels, Pod, Service
from collector_plugin.service_selectors import ServiceSelectors
from collector_plugin.tenures import Freshness, Tenure, TenureTable

MAX_OBJECTS = 30_000
"""Pods, services and addresses that ended of late together; at 1 KiB each (measured, for a pod) 30 MiB."""


MAX_LATE_NS = 5 * 10**9
"""The API server may tell this late what has happened; usually it does within a second."""


class _KnownPod:
    __slots__ = ("pod", "seen_ns", "tenures")

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.seen_ns = 0
        self.tenures: dict[bytes, Tenure] = {}


class _KnownService(msgspec.Struct, frozen=True):
    service: Service
    tenures: dict[bytes, Tenure]


class Cluster:
    """What is known of a cluster."""

    def __init__(self, keep_ns: int, max_objects: int = MAX_OBJECTS) -> None:
        """Keep for `keep_ns` who had which address before."""
        self.tenures = TenureTable(keep_ns)
        self.pods_freshness = Freshness()
        self.services_freshness = Freshness()
        self.generation = 0
        """Differs once services have changed."""
        self.left_out = 0
        """Objects for which there was no room."""
        self._max_objects = max_objects
        self._pods: dict[str, _KnownPod] = {}
        self._services: dict[str, _KnownService] = {}
        self._selectors: collections.defaultdict[str, ServiceSelectors] = collections.defaultdict(ServiceSelectors)
        self._nodes = NodeAddresses(self.tenures, self.pods_freshness)

    @property
    def pod_count(self) -> int:
        """Return how many pods are known."""
        return len(self._pods)

    @property
    def service_count(self) -> int:
        """Return how many services are known."""
        return len(self._services)

    def list_pods(self) -> set[str]:
        """Return the uids of the pods that are known."""
        return set(self._pods)

    def list_services(self) -> set[str]:
        """Return the uids of the services that are known."""
        return set(self._services)

    def put_pod(self, pod: Pod, now_ns: int) -> None:
        """Take in a pod as it is now."""
        known = self._pods.get(pod.uid)
        if pod.is_over:
            if known is not None:
                self._end_pod(known, pod.end_ns or known.seen_ns - MAX_LATE_NS, now_ns)
            return
        if known is None:
            if self._is_full():
                return
            known = self._pods[pod.uid] = _KnownPod(pod)
            self._nodes.count_in(pod, now_ns)
        elif known.pod != pod:
            self._change_pod(known, pod, now_ns)
        if pod.addresses != tuple(known.tenures):
            self._place_pod(known, now_ns)
        known.seen_ns = now_ns

    def remove_pod(self, uid: str, end_ns: int, now_ns: int) -> None:
        """Let go of a pod that had its addresses until `end_ns` at most."""
        known = self._pods.get(uid)
        if known is not None:
            self._end_pod(known, end_ns, now_ns)

    def put_service(self, service: Service, now_ns: int) -> None:
        """Take in a service as it is now."""
        known = self._services.get(service.uid)
        if known is not None and known.service == service:
            return
        if known is None and self._is_full():
            return
        tenures = {} if known is None else dict(known.tenures)
        for address in set(tenures) - set(service.addresses):
            self.tenures.end(address, tenures.pop(address), now_ns - MAX_LATE_NS, now_ns)
        for address in service.addresses:
            if address not in tenures:
                # One that it got later it has had since now.
                is_first = known is None or not known.service.addresses
                start_ns = _bound_start(service.start_ns if is_first else 0, now_ns)
                tenure = tenures[address] = Tenure(self.services_freshness, start_ns)
                tenure.namespace, tenure.service = service.namespace, service.name
                self.tenures.add(address, tenure)
        self._services[service.uid] = _KnownService(service, tenures)
        self._selectors[service.namespace].put(service.uid, service.selector, service.name)
        self.generation += 1

    def remove_service(self, uid: str, end_ns: int, now_ns: int) -> None:
        """Let go of a service that had its addresses until `end_ns` at most."""
        known = self._services.pop(uid, None)
        if known is None:
            return
        for address, tenure in known.tenures.items():
            self.tenures.end(address, tenure, end_ns, now_ns)
        self._selectors[known.service.namespace].remove(uid)
        self.generation += 1

    def find_service(self, namespace: str, labels: Labels) -> str:
        """Return the one service that a pod stands behind; nothing where none is known, or several."""
        if not self.services_freshness.until_ns:
            return ""
        selectors = self._selectors.get(namespace)
        names = selectors.find(labels) if selectors is not None else ()
        return names[0] if len(names) == 1 else ""

    def _is_full(self) -> bool:
        is_full = len(self._pods) + len(self._services) + self.tenures.ended_count >= self._max_objects
        self.left_out += is_full
        return is_full

    def _change_pod(self, known: _KnownPod, pod: Pod, now_ns: int) -> None:
        before = known.pod
        if (before.node, before.host_addresses) != (pod.node, pod.host_addresses):
            self._nodes.count_out(before, now_ns, now_ns)
            self._nodes.count_in(pod, now_ns)
        known.pod = pod
        for address, tenure in known.tenures.items():
            tenure.start_ns = max(tenure.start_ns, min(pod.start_ns, now_ns))
            tenure.labels = pod.labels
            tenure.generation = -1
            self.tenures.renew(address)

    def _place_pod(self, known: _KnownPod, now_ns: int) -> None:
        """Give a pod's new addresses to it, and end its tenure of those that it has no more."""
        pod, tenures = known.pod, known.tenures
        start_ns = _bound_start(pod.start_ns if not tenures else 0, now_ns)
        for address in set(tenures) - set(pod.addresses):
            # Lost at some time since it was seen last.
            self.tenures.end(address, tenures.pop(address), known.seen_ns - MAX_LATE_NS, now_ns)
        for address in pod.addresses:
            if address not in tenures:
                tenure = tenures[address] = Tenure(self.pods_freshness, start_ns)
                tenure.namespace, tenure.pod, tenure.node = pod.namespace, pod.name, pod.node
                tenure.labels = pod.labels
                self.tenures.add(address, tenure)

    def _end_pod(self, known: _KnownPod, end_ns: int, now_ns: int) -> None:
        del self._pods[known.pod.uid]
        for address, tenure in known.tenures.items():
            self.tenures.end(address, tenure, end_ns, now_ns)
        self._nodes.count_out(known.pod, end_ns, now_ns)


def _bound_start(told_ns: int, now_ns: int) -> int:
    """Return from when on an address is held that is told of now: other clocks may be ahead of ours."""
    return min(told_ns, now_ns) if told_ns else now_ns
