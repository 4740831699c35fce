"""Names the ends of a transit, for the attributes of its spans: pod, namespace, service and node.

Pure. Asked for each transit, so the answer is kept by connection as long as nothing has changed, and what spans say
of an end is made once and kept with its tenure.
"""

import msgspec

from collector_plugin.describe import describe_addresses
from collector_plugin.halves import Half
from collector_plugin.kubernetes_cluster import Cluster
from collector_plugin.network_span import Attributes, Pair
from collector_plugin.tenures import FOREVER, Lookup, Tenure, find_owner
from node_probe.transit import Direction

MAX_KEPT = 4096
"""Connections whose answer is kept, of each direction; as many as their addresses are."""

Tenures = tuple[Tenure, ...] | None

# Of wire_record's ENDPOINTS, behind two ports.
_CLIENT, _SERVER = slice(4, 20), slice(20, 36)


class _Answer(msgspec.Struct, frozen=True, gc=False):
    """What spans of a connection say, for stamps from `start_ns` up to `end_ns`."""

    client: Tenures
    server: Tenures
    """What the table had of both."""
    generation: int
    start_ns: int
    end_ns: int
    groups: tuple[Attributes, ...]
    named: int
    """Ends with a name; the others are unknown."""


class EndNames:
    """Finds the names of both ends in a cluster, and counts how that went."""

    def __init__(self, cluster: Cluster) -> None:
        """Ask `cluster`; other threads may change it meanwhile."""
        self._cluster = cluster
        self._by_address = cluster.tenures.by_address
        self._pods = cluster.pods_freshness
        self._services = cluster.services_freshness
        self._named = self._searched = 0
        self._missed = dict.fromkeys(Lookup, 0)
        self._kept: tuple[dict[bytes, _Answer], ...] = tuple({} for _ in Direction)

    @property
    def lookups(self) -> dict[Lookup, int]:
        """Return how many searches ended how."""
        unknown = self._searched - self._named - sum(self._missed.values())
        return {**self._missed, Lookup.NAMED: self._named, Lookup.UNKNOWN: unknown}

    def describe(self, half: Half) -> tuple[Attributes, ...]:
        """Return source and destination in the packet's direction, and their names where they are known."""
        at_ns = half.times_ns[0] + half.origin.epoch_offset_ns
        endpoints, find = half.endpoints, self._by_address.get
        answer = self._kept[half.course.direction].get(endpoints)
        if (
            answer is None
            or find(endpoints[_CLIENT]) is not answer.client
            or find(endpoints[_SERVER]) is not answer.server
            or answer.generation != self._cluster.generation
            or not answer.start_ns <= at_ns < answer.end_ns
            or at_ns > self._pods.until_ns
            or at_ns > self._services.until_ns
        ):
            answer = self._find_answer(half, at_ns)
        self._searched += 2
        self._named += answer.named
        return answer.groups

    def _find_answer(self, half: Half, at_ns: int) -> _Answer:
        # Noted first: what changes meanwhile is seen to be newer.
        generation = self._cluster.generation
        direction, endpoints = half.course.direction, half.endpoints
        client, server = (self._by_address.get(endpoints[end]) for end in (_CLIENT, _SERVER))
        # Of several that had an address in turn each has its time.
        is_lasting = all(tenures is None or len(tenures) == 1 for tenures in (client, server))
        ends = [find_owner(tenures, at_ns) for tenures in (client, server)]
        if direction is Direction.RESPONSE:
            ends.reverse()
        groups: tuple[Attributes, ...] = describe_addresses(half)
        start_ns, end_ns, named = 0, FOREVER, 0
        for place, end in enumerate(ends):
            if isinstance(end, Tenure):
                groups += self._describe_end(end)[place]
                start_ns, end_ns, named = max(start_ns, end.start_ns), min(end_ns, end.end_ns), named + 1
            elif end is not Lookup.UNKNOWN:
                self._missed[end] += 1
                # At another time there may be a name.
                is_lasting = False
        answer = _Answer(client, server, generation, start_ns, end_ns, groups, named)
        if is_lasting:
            kept = self._kept[direction]
            if len(kept) >= MAX_KEPT:
                kept.clear()
            kept[endpoints] = answer
        return answer

    def _describe_end(self, tenure: Tenure) -> tuple[tuple[Attributes], tuple[Attributes]]:
        """Return what spans say of it as their source, and as their destination."""
        generation = self._cluster.generation
        if tenure.described is None or tenure.generation != generation:
            tenure.generation = generation if self._services.until_ns else -1
            service = tenure.service or self._cluster.find_service(tenure.namespace, tenure.labels)
            values = {"namespace": tenure.namespace, "pod": tenure.pod, "service": service, "node": tenure.node}
            tenure.described = (_describe("source", values), _describe("destination", values))
        return tenure.described


def _describe(end: str, values: dict[str, str]) -> tuple[Attributes]:
    pairs: list[Pair] = [(f"{end}.k8s.{kind}.name", value) for kind, value in values.items() if value]
    return (Attributes(*pairs),)
