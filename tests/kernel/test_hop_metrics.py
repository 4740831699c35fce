"""The hops' durations on the metrics page of a real probe, with traces of the traffic as exemplars."""

import re
import signal
from pathlib import Path

import pytest

from tests.kernel.made_node import Probe, wait_until
from tests.kernel.metrics_page import HOPS, read_hop_counts, read_page
from tests.kernel.talking_node import TalkingNode

pytestmark = pytest.mark.bpf

EXCHANGES = 23


def test_hops_of_the_traffic_are_on_the_page(talking_node: TalkingNode, tmp_path: Path) -> None:
    """Counts are those of the messages sent, and each exemplar names a trace that was among them."""
    probe = Probe(talking_node, tmp_path)
    assert read_hop_counts(talking_node) == {}
    with talking_node.connection() as connection:
        connection.exchange(EXCHANGES)
    expected = {
        (hop, direction): float(count)
        for hop, count in {"veth-hop": 2 * EXCHANGES, "host-forward": EXCHANGES}.items()
        for direction in ("request", "response")
    }
    wait_until(lambda: read_hop_counts(talking_node) == expected, "all hops on the page")
    page = read_page(talking_node)
    trace_ids = re.findall(rf'^{HOPS}_bucket{{.*}} \S+ # {{trace_id="(\w+)"}}', page, re.MULTILINE)
    assert trace_ids
    assert set(trace_ids) <= set(connection.trace_ids)
    assert probe.end(signal.SIGTERM) == 0
