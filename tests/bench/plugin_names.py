"""What names from Kubernetes cost: to describe the ends of a transit with and without, and to know a pod.

One process and one thread, no IO. Both ways describe the same transits in turn.
"""

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

from collector_plugin.describe import describe_addresses
from collector_plugin.end_names import EndNames
from collector_plugin.halves import Half
from collector_plugin.hops import DescribeEnds
from collector_plugin.kubernetes_cluster import Cluster
from collector_plugin.kubernetes_feed import Feed, handle_pods, handle_services
from tests.bench.figures import spread
from tests.collector_plugin.builders import EPOCH_NS, NODE_1, SECOND, make_half, make_transit
from tests.collector_plugin.cluster_objects import make_pod, make_service, write_page
from tests.collector_plugin.join_memory import measure

PODS = 10_000
PAGE = 200
CONNECTIONS = 1_000
"""Each to another pod: a plugin keeps what it said of 4,096."""


def describe() -> dict[str, str]:
    """Return what the figures are."""
    return {
        "names.us_per_transit": f"CPU time to describe the ends of a transit with their names, {PODS} pods known",
        "names.us_per_transit_off": "the same without names",
        "names.us_per_pod": f"CPU time to take in a pod of a list, in pages of {PAGE}",
        "names.bytes_per_pod": "tracemalloc, a pod without what others share with it",
    }


def measure_names(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the section `names`."""
    pods = PODS // 10 if quick else PODS
    pages = [
        write_page([_make_pod(number) for number in range(first, first + PAGE)], following="more")
        for first in range(0, pods, PAGE)
    ]
    cluster = Cluster(130 * SECOND)
    per_pod = _time(lambda: _take_in(cluster, pages)) / pods
    services = Feed(handle_services(cluster), 90 * SECOND)
    services.begin_list(EPOCH_NS)
    services.add_page(write_page([make_service("cart", "10.96.0.10")]), EPOCH_NS)
    services.confirm(EPOCH_NS)
    halves = [
        make_half(NODE_1, make_transit({1: 0, 2: 3, 3: 6, 4: 9}, server=_address(n))) for n in range(CONNECTIONS)
    ]
    names = EndNames(cluster).describe
    turns = 1 if quick else 10
    taken = [[_describe(halves, way, turns) for way in (names, describe_addresses)] for _ in range(rounds + 1)][1:]
    return {
        "names": {
            "us_per_transit": spread([named for named, _ in taken]),
            "us_per_transit_off": spread([off for _, off in taken]),
            "us_per_pod": round(per_pod, 1),
            "bytes_per_pod": round(measure(lambda: _take_in(Cluster(130 * SECOND), pages)) / pods),
        }
    }


def _take_in(cluster: Cluster, pages: Sequence[bytes]) -> Cluster:
    feed = Feed(handle_pods(cluster), 90 * SECOND)
    feed.begin_list(EPOCH_NS)
    for page in pages:
        feed.add_page(page, EPOCH_NS)
    feed.add_page(write_page([_make_pod(0)]), EPOCH_NS)
    feed.confirm(EPOCH_NS)
    return cluster


def _describe(halves: Sequence[Half], way: DescribeEnds, turns: int) -> float:
    def work() -> None:
        for _ in range(turns):
            for half in halves:
                way(half)

    return _time(work) / (turns * len(halves))


def _time(work: Callable[[], object]) -> float:
    """Return the CPU time of this process in microseconds."""
    gc.collect()
    before_ns = time.process_time_ns()
    work()
    return (time.process_time_ns() - before_ns) / 1_000


def _address(number: int) -> str:
    return f"10.244.{number >> 8}.{number & 0xFF}"


def _make_pod(number: int) -> dict[str, Any]:
    app = f"app-{number // 10}"
    labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "shop", "pod-template-hash": app}
    return make_pod(f"{app}-6d4cf56db6-{number:05}", _address(number), node=f"node-{number % 100}", labels=labels)
