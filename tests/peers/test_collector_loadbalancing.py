"""otel-config/collector-loadbalancing.yaml: two plugins behind a real Collector that divides traces between them.

The Collector finds the plugins by a name, as in a cluster; here the name stands in a hosts file that it alone sees.
"""

import json
import re
import signal
import urllib.request
from collections.abc import Sequence

import pytest

from testbed.deadline import wait_until
from testbed.peers import choose_ports
from testbed.process import ManagedProcess
from tests.peers.backend import ARRIVAL_TIMEOUT_S, SCOPE, Backend, send
from tests.peers.calls import APPLICATION_SPANS, HOPS, Call, check_hops, make_spans, make_transits
from tests.peers.peers import Peers
from tests.peers.ways import PLUGIN_EXPORTER, PLUGIN_RECEIVER, make_way
from tests.requirements import require_root

pytestmark = pytest.mark.peers

CALLS, TRANSITS = 46, 4
START_NS = 1_700_000_000 * 10**9
NAME = "collector-plugin"
ADDRESSES = ("127.0.0.1", "127.0.0.2")


class Balanced:
    """The Collector and its two plugins."""

    def __init__(self, peers: Peers, backend: Backend) -> None:
        """Start all."""
        require_root()  # for a hosts file of its own
        self._hosts = peers.directory / "hosts"
        self.tell_addresses(ADDRESSES)
        way = make_way(peers, "collector-loadbalancing.yaml")
        (port,) = choose_ports(1)
        self.plugins = [
            peers.start_plugin(
                "plugin-inline.yaml", {PLUGIN_RECEIVER: f"{address}:{port}", PLUGIN_EXPORTER: way.back}, address
            )
            for address in ADDRESSES
        ]
        within = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(self._hosts)]
        way.start_collector(
            backend.endpoint, within, PLUGIN_HOST=NAME, PLUGIN_PORT=port, RESOLVE_INTERVAL="1s", REROUTE_AFTER="10s"
        )
        self.endpoint = way.otlp

    def tell_addresses(self, addresses: Sequence[str]) -> None:
        """Let the name have these addresses from now on."""
        self._hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {NAME}\n" for address in addresses))

    def send_transits(self, calls: Sequence[Call]) -> list[int]:
        """Send the calls' transits; return how many each plugin got, once all are there."""
        before = [count_transits(plugin) for plugin in self.plugins]
        send(self.endpoint, *make_transits(calls))
        counts: list[int] = []

        def is_there() -> bool:
            counts[:] = [count_transits(plugin) - old for plugin, old in zip(self.plugins, before, strict=True)]
            return sum(counts) >= len(calls) * TRANSITS

        wait_until(is_there, "not all transits reached a plugin", ARRIVAL_TIMEOUT_S)
        return counts


def count_transits(plugin: ManagedProcess) -> int:
    """Return how many transits the plugin has received."""
    (port,) = {json.loads(line)["metrics_port"] for line in plugin.read_log().splitlines() if '"ready"' in line}
    with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=ARRIVAL_TIMEOUT_S) as answer:
        found = re.search(r"^hopspan_plugin_received_transits_total (\d+)", answer.read().decode(), re.MULTILINE)
    assert found
    return int(found[1])


@pytest.fixture
def balanced(peers: Peers, backend: Backend) -> Balanced:
    """All run."""
    return Balanced(peers, backend)


def test_trace_meets_in_one_plugin(balanced: Balanced, backend: Backend) -> None:
    """Spans and transits come by separate requests; each call gets its hops, and both plugins have work."""
    calls = [Call(number, start_ns=START_NS) for number in range(CALLS)]
    counts = balanced.send_transits(calls)
    assert all(count and not count % TRANSITS for count in counts)
    send(balanced.endpoint, *(make_spans([call]) for call in calls))
    spans = backend.wait_for_names(pair for call in calls for pair in call.list_all_spans())
    assert len(spans) == CALLS * (len(APPLICATION_SPANS) + len(HOPS))
    for call in calls:
        check_hops(spans, call)


def test_plugin_that_dies_costs_its_share_of_the_hops(balanced: Balanced, backend: Backend) -> None:
    """Every application's span comes, also of requests that it did not answer; only hops that it held are missing."""
    calls = [Call(number, start_ns=START_NS) for number in range(CALLS)]
    counts = balanced.send_transits(calls)
    balanced.plugins.pop().send_signal(signal.SIGKILL)
    send(balanced.endpoint, *(make_spans([call]) for call in calls))
    balanced.tell_addresses(ADDRESSES[:1])
    backend.wait_for_names(pair for call in calls for pair in call.list_application_spans())
    # The name has one address now, so these come last, and whole.
    later = [Call(number, start_ns=START_NS) for number in range(CALLS, CALLS + 23)]
    balanced.send_transits(later)
    send(balanced.endpoint, *(make_spans([call]) for call in later))
    spans = backend.wait_for_names(pair for call in later for pair in call.list_all_spans())
    with_hops = {span.trace_id for span in spans if span.scope == SCOPE}
    for call in [*later, *(call for call in calls if call.trace_id in with_hops)]:
        check_hops(spans, call)
    assert len(with_hops) == len(later) + counts[0] // TRANSITS
    # Some come more than once: a request that went to both is routed anew as a whole.
    application = {(span.trace_id, span.name) for span in spans if span.scope != SCOPE}
    assert application == {pair for call in [*calls, *later] for pair in call.list_application_spans()}
