"""The hops' durations on the metrics page of a real probe, with traces of the traffic as exemplars."""

import re
import signal
from http.client import HTTPConnection
from pathlib import Path

import pytest

from node_probe.namespaces import entered
from tests.kernel.made_node import DEADLINE_S, METRICS_PORT, Probe, wait_until
from tests.kernel.talking_node import TalkingNode

pytestmark = pytest.mark.bpf

EXCHANGES = 23
NAME = "hopspan_probe_hop_duration_seconds"


def read_page(node: TalkingNode) -> str:
    connection = HTTPConnection("127.0.0.1", METRICS_PORT, timeout=DEADLINE_S)
    with entered(Path("/run/netns") / node.node):
        connection.connect()
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    page = connection.getresponse().read().decode()
    connection.close()
    return page


def read_counts(page: str) -> dict[tuple[str, str], float]:
    found = re.findall(rf'^{NAME}_count{{direction="(\w+)",hop="([\w-]+)"}} (\S+)$', page, re.MULTILINE)
    return {(hop, direction): float(count) for direction, hop, count in found}


def test_hops_of_the_traffic_are_on_the_page(talking_node: TalkingNode, tmp_path: Path) -> None:
    """Counts are those of the messages sent, and each exemplar names a trace that was among them."""
    probe = Probe(talking_node, tmp_path)
    assert read_counts(read_page(talking_node)) == {}
    with talking_node.connection() as connection:
        connection.exchange(EXCHANGES)
    expected = {
        (hop, direction): float(count)
        for hop, count in {"veth-hop": 2 * EXCHANGES, "host-forward": EXCHANGES}.items()
        for direction in ("request", "response")
    }
    wait_until(lambda: read_counts(read_page(talking_node)) == expected, "all hops on the page")
    page = read_page(talking_node)
    trace_ids = re.findall(rf'^{NAME}_bucket{{.*}} \S+ # {{trace_id="(\w+)"}}', page, re.MULTILINE)
    assert trace_ids
    assert set(trace_ids) <= set(connection.trace_ids)
    assert probe.end(signal.SIGTERM) == 0
