"""Pods whose sidecars speak mutual TLS: no header can be read, and each call has its hops all the same."""

import pytest

from tests.kubernetes.chart import Chart
from tests.kubernetes.encrypted_sidecars import EncryptedSidecars
from tests.kubernetes.sidecar_calls import check_calls
from tests.peers.jaeger_api import JaegerApi

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]

SETTINGS = (
    "probe.config.contexts={traceparent,b3,b3multi,uber-trace-id,flow}",
    "plugin.config.flows.enabled=true",
)


@pytest.fixture(scope="module")
def encrypted_sidecars(chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> EncryptedSidecars:
    """The called pod, beside a plugin and probes that follow TLS."""
    chart.ensure(*SETTINGS)
    return EncryptedSidecars(chart.cluster, tmp_path_factory.mktemp("encrypted"), (chart.find_plugin(), 24317))


@pytest.mark.parametrize("called", ["pod", "service"])
def test_encrypted_calls_show_their_way(
    encrypted_sidecars: EncryptedSidecars, jaeger: JaegerApi, called: str
) -> None:
    """To a pod, as a mesh calls, or to a Service, which the node translates: below the span that names the flow."""
    pods = encrypted_sidecars.pods
    encrypted_sidecars.start_caller(pods.find_pod() if called == "pod" else pods.find_service())
    for waited in check_calls(pods, jaeger):
        tags = {tag["key"]: tag["value"] for tag in waited["tags"]}
        assert tags["span.kind"] == "client"
        assert tags["hopspan.local"]
