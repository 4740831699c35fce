"""The plugin's health page: ok while it works, and else a reason for each thing that is wrong."""

import json
import urllib.error
import urllib.request

import pytest

from collector_plugin.health import AWAY_AFTER_ATTEMPTS, MAX_SILENCE_NS, Pulse, judge_health
from tests.collector_plugin.gated_exporter import wait_until
from tests.collector_plugin.plugin_bench import SPANS, Bench
from tests.hopspan.grpc_peer import DEADLINE_S


@pytest.mark.parametrize(
    ("pulse", "reasons"),
    [
        (Pulse(is_serving=True, silence_ns=0, failed_attempts={"otlp": AWAY_AFTER_ATTEMPTS - 1}), ()),
        (Pulse(is_serving=False, silence_ns=0, failed_attempts={}), ("not serving: starting or stopping",)),
        (
            Pulse(is_serving=True, silence_ns=MAX_SILENCE_NS + 10**9, failed_attempts={"otlp": 0, "zipkin": 7}),
            ("no network spans made for 6 s", "exporters.zipkin: away, 7 attempts failed in a row"),
        ),
    ],
)
def test_each_fault_has_its_reason(pulse: Pulse, reasons: tuple[str, ...]) -> None:
    """A sentence each, and none while all is well."""
    assert judge_health(pulse).reasons == reasons


@pytest.mark.parametrize(
    ("is_serving", "silence_ns", "is_ready", "is_alive"),
    [(True, 0, True, True), (False, 0, False, True), (True, MAX_SILENCE_NS + 1, True, False)],
)
def test_what_an_orchestrator_acts_on(*, is_serving: bool, silence_ns: int, is_ready: bool, is_alive: bool) -> None:
    """A backend that is away makes the plugin neither unready nor dead: its clients are told, and come again."""
    health = judge_health(Pulse(is_serving=is_serving, silence_ns=silence_ns, failed_attempts={"otlp": 100}))
    assert (health.is_ready, health.is_alive) == (is_ready, is_alive)


def test_backend_that_is_away_is_told_until_it_is_back() -> None:
    """503 and the exporter's name once three attempts failed; 200 after the next that succeeds."""
    bench = Bench()
    try:
        assert read_page(bench) == (200, {"status": "ok", "reasons": []})
        port = bench.peer.port
        bench.peer.close()
        for _ in range(AWAY_AFTER_ATTEMPTS):
            bench.send_and_fail(SPANS)
        status, page = read_page(bench)
        assert status == 503
        assert page["reasons"] == ["exporters.otlp: away, 3 attempts failed in a row"]
        bench.peer = type(bench.peer)(port)
        wait_until(lambda: deliver(bench))
        assert read_page(bench)[0] == 200
    finally:
        bench.plugin.stop()
        bench.close()


def deliver(bench: Bench) -> bool:
    """Send spans; tell whether that succeeded."""
    try:
        bench.send(SPANS)
    except Exception:  # noqa: BLE001 - not yet
        return False
    return True


def read_page(bench: Bench) -> tuple[int, dict[str, object]]:
    """Return status and body of the health page."""
    url = f"http://localhost:{bench.plugin.metrics_port}/health"
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
