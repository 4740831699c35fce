"""Reads the metrics page of a real probe on a made-up node, and the hops that were counted there."""

import re
from http.client import HTTPConnection
from pathlib import Path

from node_probe.namespaces import entered
from tests.kernel.made_node import DEADLINE_S, METRICS_PORT, Node

HOPS = "hopspan_probe_hop_duration_seconds"


def read_page(node: Node) -> str:
    """Return the page as OpenMetrics."""
    connection = HTTPConnection("127.0.0.1", METRICS_PORT, timeout=DEADLINE_S)
    with entered(Path("/run/netns") / node.node):
        connection.connect()
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    page = connection.getresponse().read().decode()
    connection.close()
    return page


def read_hop_counts(node: Node) -> dict[tuple[str, str], float]:
    """Return how many durations were counted, by hop and direction."""
    found = re.findall(rf'^{HOPS}_count{{direction="(\w+)",hop="([\w-]+)"}} (\S+)$', read_page(node), re.MULTILINE)
    return {(hop, direction): float(count) for direction, hop, count in found}
