"""docs/troubleshooting.md says which count of the probe grows: each kind of request is sent, as clients would."""

import sys
from collections.abc import Callable, Iterator

import pytest

from testbed.deadline import wait_until
from testbed.namespace import open_socket
from testbed.process import run_in
from testbed.topology import CART, FRONTEND, NODE_1
from tests.house.repository import ROOT
from tests.requirements import require_bcc
from tests.testbed.programs_under_test import read_probe_metrics, running_probes

pytestmark = [pytest.mark.testbed, pytest.mark.bpf]

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
PORT = 8099
TIMEOUT_S = 60.0
REQUESTS = 5
TRACE = "0af7651916cd43dd8448eb211c80319c"
HEAD = "GET /cart HTTP/1.1\r\nhost: cart\r\n"
FILLER = "".join(f"x-filler-{number}: {'f' * 1000}\r\n" for number in range(9))

SENT = {
    # what the page says grows: what is sent
    "request_no_context": HEAD,
    "request_unsampled": f"{HEAD}traceparent: 00-{TRACE}-b7ad6b7169203331-00\r\n",
    "request_bad_context": f"{HEAD}traceparent: 00-{TRACE}-b7ad6b7169203331\r\n",
    "request_too_long": HEAD + FILLER,
    "hopspan_probe_tls_segments": "\x16\x03\x01\x00\x20" + "\x00" * 32,
    "hopspan_probe_contexts": f"{HEAD}traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n",
}


@pytest.fixture(scope="module")
def read_counts(
    two_nodes_vxlan: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], dict[str, int]]]:
    """Return what reads the counts of the table from the client's node, by the names that the page has."""
    require_bcc()
    del two_nodes_vxlan
    work_dir = tmp_path_factory.mktemp("symptoms")
    server = [sys.executable, "-u", "-m", "http.server", str(PORT)]
    with run_in(CART.namespace, server, log_path=work_dir / "server.log") as process:
        process.wait_for_output("Serving HTTP", TIMEOUT_S)
        with running_probes(work_dir, NODE_1):
            yield count


def count() -> dict[str, int]:
    """Return them."""
    metrics = read_probe_metrics(NODE_1)
    found = {name: metrics.get(f'hopspan_probe_messages_untraced_total{{reason="{name}"}}', 0.0) for name in SENT}
    found["hopspan_probe_tls_segments"] = metrics["hopspan_probe_tls_segments_total"]
    found["hopspan_probe_contexts"] = sum(
        value for name, value in metrics.items() if name.startswith("hopspan_probe_contexts_total")
    )
    return {name: int(value) for name, value in found.items()}


def send(message: str) -> None:
    """Send it over a connection of its own, as the frontend's pod does, and wait for the server's answer or end."""
    with open_socket(FRONTEND.namespace) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect((str(CART.address), PORT))
        connection.sendall(f"{message}\r\n".encode("latin-1"))
        connection.recv(1)


@pytest.mark.parametrize("name", SENT)
def test_count_that_the_page_names_grows(read_counts: Callable[[], dict[str, int]], name: str) -> None:
    """By as many as were sent; of the others none, but that contexts are counted sampled or not."""
    assert f"| `{name}`" in PAGE
    before = read_counts()
    for _ in range(REQUESTS):
        send(SENT[name])
    wait_until(lambda: read_counts()[name] - before[name] == REQUESTS, f"{name} does not grow", TIMEOUT_S)
    grown = {other for other, value in read_counts().items() if value != before[other]}
    assert grown - {"hopspan_probe_contexts"} == {name} - {"hopspan_probe_contexts"}
