"""A pod that floods its node's probe with forged contexts: what its neighbours lose, and what memory it takes."""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from node_probe.config import Limits, PointSettings
from testbed.process import ManagedProcess, run_in
from testbed.topology import CART, CATALOG, FRONTEND, NODE_1, NODES, PLUGIN_ENDPOINT, POD_DEVICE, mac_of
from tests.requirements import require_bcc
from tests.testbed.flood import READY_LINE
from tests.testbed.otlp_peer import OtlpPeer
from tests.testbed.plain_http import ask, connected, serving
from tests.testbed.programs_under_test import READY_TIMEOUT_S, read_probe_metrics, running_probes, stop_and_count

pytestmark = pytest.mark.testbed

FLOOD_RATE = 100_000
FLOOD_S = 8.0
EXCHANGES = 300
PAUSE_S = 0.01
TRANSITS_PER_EXCHANGE = 4

MOST_TRANSITS = 4 * PointSettings().rate_limit
"""Of the flood that may be under way at once: those of a second and a quarter until they are swept, and a margin."""

MOST_RESIDENT_MIB = Limits().memory_mib


def start_flood(work_dir: Path) -> ManagedProcess:
    """Start a flood from the catalog's pod to the cart's, through the overlay."""
    arguments = [POD_DEVICE, mac_of(NODE_1.gateway), CATALOG.address, CART.address, FLOOD_RATE, FLOOD_S]
    command = [sys.executable, "-m", "tests.testbed.flood", *map(str, arguments)]
    flood = run_in(CATALOG.namespace, command, log_path=work_dir / "flood.log")
    flood.wait_for_output(READY_LINE, READY_TIMEOUT_S)
    return flood


def read_resident_mib(process: ManagedProcess) -> float:
    """Return how much memory a process has at most had resident."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def test_flood_costs_neighbours_nothing(two_nodes_vxlan: None, tmp_path: Path) -> None:
    """The flood is cut down to its limit at both nodes; of the neighbour's transits 99 % arrive, all is counted."""
    del two_nodes_vxlan
    require_bcc()
    with (
        OtlpPeer(PLUGIN_ENDPOINT) as sink,
        running_probes(tmp_path) as probes,
        serving(),
        connected(FRONTEND) as client,
        start_flood(tmp_path) as flood,
    ):
        traces: set[bytes] = set()
        while len(traces) < EXCHANGES:
            traces.add(ask(client).trace_id)
            time.sleep(PAUSE_S)
        entries = {node.name: read_probe_metrics(node) for node in NODES}
        resident = {name: read_resident_mib(probe) for name, probe in probes.items()}
        flood.wait_or_kill(READY_TIMEOUT_S)
        counts = {name: stop_and_count(probe) for name, probe in probes.items()}
        spans = sink.spans
    sent = json.loads(flood.read_log().splitlines()[-1])["sent"]
    arrived = Counter(span.span.trace_id for span in spans)
    assert sum(arrived[trace] for trace in traces) >= 0.99 * EXCHANGES * TRANSITS_PER_EXCHANGE
    for name, count in counts.items():
        started = count["transits_started"]
        limited = count.get("rate_limited", 0)
        assert limited > started, (sent, count)
        assert started == count.get("transits_emitted", 0) + count.get("transits_swept", 0) + count.get(
            "ring_full", 0
        )
        lost = sum(count.get(reason, 0) for reason in ("bad_context", "cpu_ceiling", "backlog_full", "shutdown"))
        assert count["records_read"] == count["transits_sent"] + lost
        assert entries[name]['hopspan_probe_map_entries{map="transits"}'] < MOST_TRANSITS
        assert resident[name] < MOST_RESIDENT_MIB
