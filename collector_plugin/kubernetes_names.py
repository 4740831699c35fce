"""Names from Kubernetes: the watches of pods and services, the cluster that they keep, and what is told of both.

Composition. There are few replicas of the plugin, and it sees the addresses of all transits: so few watches do.
"""

import threading
import time

from collector_plugin.end_names import EndNames
from collector_plugin.kubernetes_api import KubernetesApi, Result
from collector_plugin.kubernetes_cluster import Cluster
from collector_plugin.kubernetes_feed import Feed, handle_pods, handle_services
from collector_plugin.kubernetes_settings import KubernetesSettings
from collector_plugin.kubernetes_watch import SILENCE_NS, KubernetesWatch, Watched
from hopspan.counters import Counters
from hopspan.logs import Log
from hopspan.metrics import Metric, count_by, gauge_by

PODS, SERVICES = "/api/v1/pods", "/api/v1/services"
"""Pods that have ended too, which are not kept: a selector of phases would tell of an end by what was before it."""


class KubernetesNames:
    """Names of addresses, as long as the API server tells them."""

    def __init__(self, settings: KubernetesSettings, keep_ns: int, log: Log) -> None:
        """Prepare; who had an address is kept for `keep_ns`. Raises HopspanError that names the key."""
        self._cluster = Cluster(keep_ns)
        self._names = EndNames(self._cluster)
        self.describe_ends = self._names.describe
        """For the join."""
        self._results = Counters(Result)
        self._feeds: dict[str, Feed] = {}
        self._watches: list[KubernetesWatch] = []
        lock = threading.Lock()
        for resource, path, handler in (
            ("pods", PODS, handle_pods(self._cluster)),
            ("services", SERVICES, handle_services(self._cluster)),
        ):
            feed = self._feeds[resource] = Feed(handler, SILENCE_NS)
            watched = Watched(resource, path, feed, lock)
            self._watches.append(KubernetesWatch(watched, KubernetesApi(settings), self._results, log))

    def start(self) -> None:
        """Start to watch."""
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """Stop."""
        for watch in self._watches:
            watch.stop()

    def read_metrics(self) -> list[Metric]:
        """Return all metrics of this moment."""
        cluster, now_ns = self._cluster, time.time_ns()
        objects = {
            "pods": cluster.pod_count,
            "services": cluster.service_count,
            "former_addresses": cluster.tenures.ended_count,
        }
        ages = {name: (now_ns - feed.heard_ns) / 1e9 if feed.heard_ns else -1.0 for name, feed in self._feeds.items()}
        left_out = {
            "full": cluster.left_out,
            "malformed": sum(feed.malformed for feed in self._feeds.values()),
        }
        return [
            count_by(
                "hopspan_plugin_kubernetes_requests",
                "Requests to Kubernetes' API server, by result.",
                "result",
                [(result.value, number) for result, number in self._results.read().items()],
            ),
            gauge_by("hopspan_plugin_kubernetes_objects", "Objects known, by kind.", "kind", objects),
            gauge_by(
                "hopspan_plugin_kubernetes_age_seconds",
                "Since the API server told anything, by resource.",
                "resource",
                ages,
            ),
            count_by(
                "hopspan_plugin_kubernetes_objects_left_out",
                "Objects not taken in, by reason.",
                "reason",
                left_out.items(),
            ),
            count_by(
                "hopspan_plugin_kubernetes_lookups",
                "Addresses that names were looked up for, by result.",
                "result",
                [(result.value, number) for result, number in self._names.lookups.items()],
            ),
        ]
