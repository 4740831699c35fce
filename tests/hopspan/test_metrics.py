"""The pages that a program serves of itself: metrics and health."""

import json
import math
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterable
from http.client import HTTPConnection

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hopspan import metrics
from hopspan.errors import HopspanError
from hopspan.health import Health
from hopspan.metrics import Bucket, Histogram, Metric, MetricKind, MetricsServer, count, count_by, gauge
from hopspan.values import Endpoint
from tests.house.repository import ROOT

ANY_PORT = Endpoint("localhost", 0)


def read_page(port: int) -> str:
    """Return the page as a scraper of OpenMetrics gets it."""
    request = urllib.request.Request(
        f"http://localhost:{port}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - the address is ours
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        page: bytes = response.read()
        return page.decode()


def test_page_shows_the_numbers_of_the_moment() -> None:
    """Counters end in _total, gauges do not, labels are kept; each scrape asks anew."""
    numbers = iter((1, 2))

    def read_metrics() -> Iterable[Metric]:
        yield count("hopspan_a", "An a.", next(numbers))
        yield count_by("hopspan_b", "A b.", "reason", [("x", 3), ("y", 0)])
        yield gauge("hopspan_c_bytes", "A c.", 1.5)
        yield Metric("hopspan_d", MetricKind.COUNTER, "None yet.", ())

    server = MetricsServer(ANY_PORT, read_metrics)
    page = read_page(server.port)
    assert "hopspan_a_total 1.0\n" in page
    assert 'hopspan_b_total{reason="x"} 3.0\nhopspan_b_total{reason="y"} 0.0\n' in page
    assert "# TYPE hopspan_c_bytes gauge\nhopspan_c_bytes 1.5\n" in page
    assert "hopspan_process_resident_memory_bytes " in page
    assert page.endswith("# EOF\n")
    assert "hopspan_a_total 2.0\n" in read_page(server.port)
    server.close()


def test_histogram_with_exemplars() -> None:
    """As a scraper of OpenMetrics reads it; a histogram without samples is on the page too."""
    buckets = (Bucket(5e-07, 2), Bucket(0.001, 5, bytes(15) + b"\x2a", 0.0007, 1234.5), Bucket(math.inf, 6))
    samples = (({"hop": "veth-hop", "way": "in"}, buckets, 0.25),)
    server = MetricsServer(
        ANY_PORT, lambda: [Histogram("hopspan_h", "An h.", samples), Histogram("hopspan_n", "N.", ())]
    )
    page = read_page(server.port)
    plain = read_answer(server.port, "/metrics")[2]
    server.close()
    parsed = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]  # it has no types
    families = {family.name: family for family in parsed}
    found = [(s.name, s.labels.get("le"), s.value) for s in families["hopspan_h"].samples]
    assert found == [
        ("hopspan_h_bucket", "5e-07", 2),
        ("hopspan_h_bucket", "0.001", 5),
        ("hopspan_h_bucket", "+Inf", 6),
        ("hopspan_h_count", None, 6),
        ("hopspan_h_sum", None, 0.25),
    ]
    assert all(s.labels["hop"] == "veth-hop" for s in families["hopspan_h"].samples)
    (exemplar,) = [s.exemplar for s in families["hopspan_h"].samples if s.exemplar]
    assert (exemplar.labels, exemplar.value) == ({"trace_id": f"{42:032x}"}, 0.0007)
    assert float(exemplar.timestamp) == 1234.5
    assert (families["hopspan_n"].type, families["hopspan_n"].samples) == ("histogram", [])
    assert b'le="0.001"' in plain
    assert b"trace_id" not in plain


def test_cost_of_the_process_is_as_documented() -> None:
    """Each number of the process that the docs name is on the page."""
    named = re.findall(r"`(hopspan_process_\w+)`", (ROOT / "docs" / "metrics.md").read_text())
    server = MetricsServer(ANY_PORT, list)
    page = read_page(server.port)
    server.close()
    assert len(named) == 6
    for name in named:
        assert re.search(rf"^{name} \d", page, re.MULTILINE), name


def test_port_in_use_is_named() -> None:
    """A start on a taken port names the key and the endpoint."""
    server = MetricsServer(ANY_PORT, list)
    with pytest.raises(HopspanError, match=rf"telemetry.metrics.endpoint: cannot listen on localhost:{server.port}"):
        MetricsServer(Endpoint("localhost", server.port), list)
    server.close()


def test_closed_server_listens_no_more() -> None:
    """After the end the port is free."""
    server = MetricsServer(ANY_PORT, list)
    server.close()
    with pytest.raises(urllib.error.URLError):
        read_page(server.port)


def test_every_metric_has_our_prefix() -> None:
    """A metric that would not be found beside the others is a fault of ours, and fails the scrape."""
    server = MetricsServer(ANY_PORT, lambda: [count("other", "text", 1)])
    with pytest.raises(urllib.error.HTTPError):
        read_page(server.port)
    server.close()


def read_answer(port: int, path: str = "/health") -> tuple[int, str, bytes]:
    """Return status, content type and body of a page."""
    connection = HTTPConnection("localhost", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = response.status, response.headers["Content-Type"], response.read()
    connection.close()
    return answer


def test_health_page() -> None:
    """200 while there is nothing to say, 503 with the reasons else; each request asks anew."""
    moments = iter((Health(), Health(("ring not read for 7 s", "collector away: 5 retries"))))
    server = MetricsServer(ANY_PORT, list, lambda: next(moments))
    assert read_answer(server.port) == (200, "application/json", b'{"status":"ok","reasons":[]}\n')
    status, _, body = read_answer(server.port)
    assert status == 503
    assert json.loads(body) == {
        "status": "degraded",
        "reasons": ["ring not read for 7 s", "collector away: 5 retries"],
    }
    server.close()


@pytest.mark.parametrize(
    ("health", "statuses"),
    [
        (Health(("exporters.otlp: away",)), (503, 200, 200)),
        (Health(("not serving",), is_ready=False), (503, 503, 200)),
        (Health(("ring not read for 7 s",), is_alive=False), (503, 200, 503)),
    ],
)
def test_pages_for_orchestrators(health: Health, statuses: tuple[int, ...]) -> None:
    """Readiness and life are told apart from health, with the same body."""
    server = MetricsServer(ANY_PORT, list, lambda: health)
    answers = [read_answer(server.port, page) for page in ("/health", "/ready", "/live")]
    server.close()
    assert tuple(status for status, *_ in answers) == statuses
    assert len({body for *_, body in answers}) == 1


def test_health_by_default() -> None:
    """A program that names no reasons is healthy as long as it answers."""
    server = MetricsServer(ANY_PORT, list)
    assert read_answer(server.port)[0] == 200
    server.close()


def test_other_pages() -> None:
    """There are no others, and the metrics are served in the format that the scraper asks for."""
    server = MetricsServer(ANY_PORT, lambda: [count("hopspan_a", "An a.", 1)])
    assert read_answer(server.port, "/other")[0] == 404
    assert read_answer(server.port, "/metrics")[1].startswith("text/plain")
    assert read_page(server.port).endswith("# EOF\n")
    server.close()


def test_silent_client_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a request is closed after a while, and keeps nobody else waiting."""
    monkeypatch.setattr(metrics._SilentHandler, "timeout", 0.2)
    server = MetricsServer(ANY_PORT, list)
    with socket.create_connection(("localhost", server.port), timeout=60) as idle:
        assert read_answer(server.port)[0] == 200
        assert idle.recv(1) == b""
    server.close()


def test_ipv6() -> None:
    """An IPv6 address is listened on; where the machine has none, it is named."""
    try:
        server = MetricsServer(Endpoint("::1", 0), list)
    except HopspanError as error:
        assert "cannot listen on [::1]:0" in str(error)  # noqa: PT017 - one of two good ends
        return
    with socket.create_connection(("::1", server.port), timeout=60):
        server.close()
