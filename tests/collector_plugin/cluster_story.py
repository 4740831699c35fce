"""A cluster that is told of pods and services at given times: what stories of names are made of."""

from typing import Any

from collector_plugin.end_names import EndNames
from collector_plugin.kubernetes_cluster import Cluster
from collector_plugin.kubernetes_feed import Feed, handle_pods, handle_services
from tests.collector_plugin.builders import EPOCH_NS, SECOND
from tests.collector_plugin.cluster_objects import write_event, write_page

KEEP_NS = 130 * SECOND
TRUST_NS = 90 * SECOND
CART = {"app": "cart"}
CLIENT_POD = {"source.namespace": "shop", "source.pod": "frontend-1", "source.node": "node-1"}


class Story:
    """A cluster that is told of pods and services at given seconds after EPOCH_NS."""

    def __init__(self, max_objects: int = 100) -> None:
        self.cluster = Cluster(KEEP_NS, max_objects)
        self.pods = Feed(handle_pods(self.cluster), TRUST_NS)
        self.services = Feed(handle_services(self.cluster), TRUST_NS)
        self.names = EndNames(self.cluster)

    def list(self, pods: list[dict[str, Any]], services: list[dict[str, Any]], at_s: float = -30) -> "Story":
        """Let both lists come."""
        for feed, objects in ((self.pods, pods), (self.services, services)):
            feed.begin_list(tell(at_s))
            assert feed.add_page(write_page(objects), tell(at_s)) == ""
            feed.begin_watch(tell(at_s - 1))
            feed.confirm(tell(at_s))
        return self

    def happen(self, kind: str, value: dict[str, Any], at_s: float) -> None:
        """Let an event come."""
        feed = self.pods if value["kind"] == "Pod" else self.services
        feed.add_event(write_event(kind, value), tell(at_s))


def tell(at_s: float) -> int:
    return EPOCH_NS + int(at_s * SECOND)
