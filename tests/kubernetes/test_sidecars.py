"""Pods with sidecars: a stock Envoy as it is shipped, whose requests have the context at their head."""

import pytest

from tests.kubernetes.sidecar_calls import check_calls
from tests.kubernetes.sidecars import Sidecars
from tests.peers.jaeger_api import JaegerApi

pytestmark = [pytest.mark.kubernetes, pytest.mark.bpf]


def test_calls_between_sidecars_show_their_way(sidecars: Sidecars, jaeger: JaegerApi) -> None:
    """An application that knows no tracing: each of its calls has all hops, below the span of its sidecar."""
    for waited in check_calls(sidecars, jaeger):
        assert {"key": "span.kind", "type": "string", "value": "client"} in waited["tags"]
