"""The whole plugin with names from Kubernetes: spans have them, or lack them while the API server does not answer."""

import json
import urllib.request
from collections.abc import Iterator

import msgspec
import pytest

from collector_plugin.kubernetes_settings import AuthType, KubernetesSettings
from collector_plugin.plugin import Plugin
from hopspan.errors import HopspanError
from hopspan.http_url import HttpUrl
from hopspan.logs import Log
from tests.collector_plugin.api_server import ApiServer
from tests.collector_plugin.builders import CLIENT, SERVER, list_spans, read_attributes
from tests.collector_plugin.cluster_objects import make_pod, make_service
from tests.collector_plugin.gated_exporter import wait_until
from tests.collector_plugin.plugin_bench import FAR, NEAR, SPANS, Bench, make_config
from tests.hopspan.grpc_peer import GrpcPeer
from tests.hopspan.http_peer import HttpPeer


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """An API server that lets in whoever comes, as a proxy does."""
    peer = HttpPeer()
    api = ApiServer(peer)
    api.tokens = {""}
    api.objects = {"pods": [make_pod("frontend-1", CLIENT)], "services": [make_service("cart", SERVER)]}
    yield api
    api.close()
    peer.close()


def ask(url: HttpUrl) -> KubernetesSettings:
    """Return settings that ask there, without a token."""
    return KubernetesSettings(enabled=True, auth_type=AuthType.NONE, api_server=url)


def read_names(bench: Bench) -> set[tuple[str, str]]:
    """Let an exchange pass; return all names on its spans."""
    for data in (NEAR, SPANS, FAR):
        assert bench.send(data) == b""
    assert bench.peer.take() == SPANS
    spans = list_spans([bench.peer.take()])
    assert len(spans) == 5
    return {(key, str(value)) for span in spans for key, value in read_attributes(span).items() if ".k8s." in key}


def read_page(bench: Bench, page: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://localhost:{bench.plugin.metrics_port}{page}", timeout=20) as answer:
        return answer.status, answer.read().decode()


def test_spans_have_names(api: ApiServer) -> None:
    """All spans of a message tell who sent it, and to whom."""
    bench = Bench(ask(api.peer.url()))
    try:
        wait_until(lambda: 'objects{kind="services"} 1.0' in read_page(bench, "/metrics")[1])
        wait_until(lambda: 'objects{kind="pods"} 1.0' in read_page(bench, "/metrics")[1])
        assert read_names(bench) == {
            ("source.k8s.namespace.name", "shop"),
            ("source.k8s.pod.name", "frontend-1"),
            ("source.k8s.node.name", "node-1"),
            ("destination.k8s.namespace.name", "shop"),
            ("destination.k8s.service.name", "cart"),
        }
    finally:
        bench.plugin.stop()
        bench.close()


def test_spans_flow_without_names_while_the_api_server_is_away(api: ApiServer) -> None:
    """Nothing waits for it, and the plugin is as ready and as well as ever; the log says what is wrong."""
    url = api.peer.url()
    api.peer.close()
    bench = Bench(ask(url))
    try:
        assert read_names(bench) == set()
        for page in ("/ready", "/live", "/health"):
            assert read_page(bench, page)[0] == 200
        assert 'kubernetes_lookups_total{result="unknown"}' in read_page(bench, "/metrics")[1]
    finally:
        bench.plugin.stop()
        bench.close()
    (line, *_) = [line for line in bench.read_log() if line["message"].startswith("names from Kubernetes")]
    assert (line["level"], line["reason"]) == ("warn", "unreachable")


def test_without_names_nothing_is_asked_for(api: ApiServer) -> None:
    """Off, as by default, no metric tells of Kubernetes."""
    bench = Bench(msgspec.structs.replace(ask(api.peer.url()), enabled=False))
    try:
        assert read_names(bench) == set()
        assert "kubernetes" not in read_page(bench, "/metrics")[1]
        assert api.peer.connections == 0
    finally:
        bench.plugin.stop()
        bench.close()


def test_plugin_outside_of_a_cluster_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an API server of its own it has to be told where one is."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    peer = GrpcPeer()
    config = msgspec.structs.replace(make_config(peer), kubernetes=KubernetesSettings(enabled=True))
    with pytest.raises(HopspanError, match=r"^kubernetes.api_server: missing"):
        Plugin(config, Log())
    peer.close()


def test_plugin_in_a_cluster_finds_the_api_server_itself(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the environment that every pod has; over TLS, which this one does not speak."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.peer.port))
    bench = Bench(KubernetesSettings(enabled=True, auth_type=AuthType.NONE))
    try:
        wait_until(lambda: any("127.0.0.1" in json.dumps(line.get("error")) for line in bench.read_log()))
    finally:
        bench.plugin.stop()
        bench.close()
    assert capsys.readouterr().out == ""
