"""A running plugin in this process, with its client and its peer on real sockets."""

import io
import json
from typing import Any

import grpc
import msgspec
import pytest

from collector_plugin.config import (
    FileExporter,
    GrpcProtocol,
    OtlpProtocols,
    OtlpReceiver,
    PluginConfig,
    PluginMetrics,
    PluginTelemetry,
    Receivers,
)
from collector_plugin.flow_settings import FlowSettings
from collector_plugin.kubernetes_settings import KubernetesSettings
from collector_plugin.plugin import Plugin
from hopspan.logs import Log
from hopspan.otlp_export import EXPORT_METHOD
from hopspan.settings import OtlpExporter, TlsClient
from hopspan.values import Endpoint
from tests.collector_plugin.builders import (
    NODE_1,
    NODE_2,
    make_decoded_batch,
    make_request,
    make_resource_spans,
    make_span,
    make_transit,
)
from tests.hopspan.grpc_peer import DEADLINE_S, GrpcPeer
from tests.node_probe.batch_reference import encode_batch

NO_NAMES = KubernetesSettings()
NO_FLOWS = FlowSettings()
ANY_PORT = Endpoint("localhost", 0)
SPANS = make_request(make_resource_spans([make_span()]), make_resource_spans([make_span(span_id=b"\1" * 8)]))
NEAR = encode_batch(make_decoded_batch(NODE_1, make_transit({2: 1000, 3: 1010, 4: 1020})), "1")
FAR = encode_batch(make_decoded_batch(NODE_2, make_transit({5: 1120, 6: 1130, 7: 1140})), "1")


def make_config(peer: GrpcPeer, **exporters: OtlpExporter | FileExporter) -> PluginConfig:
    """Return a configuration whose first exporter is the peer."""
    first = OtlpExporter(endpoint=Endpoint("localhost", peer.port), tls=TlsClient(insecure=True), timeout=2 * 10**9)
    return PluginConfig(
        exporters={"otlp": first, **exporters},
        receivers=Receivers(otlp=OtlpReceiver(protocols=OtlpProtocols(grpc=GrpcProtocol(endpoint=ANY_PORT)))),
        telemetry=PluginTelemetry(metrics=PluginMetrics(endpoint=ANY_PORT)),
    )


class Bench:
    """A running plugin, its peer and its client."""

    def __init__(
        self,
        kubernetes: KubernetesSettings = NO_NAMES,
        flows: FlowSettings = NO_FLOWS,
        /,
        **exporters: OtlpExporter | FileExporter,
    ) -> None:
        """Start all."""
        self.peer = GrpcPeer()
        self.stderr = io.StringIO()
        config = make_config(self.peer, **exporters)
        config = msgspec.structs.replace(config, kubernetes=kubernetes, flows=flows)
        self.plugin = Plugin(config, Log(stream=self.stderr))
        self.plugin.start()
        self.channel = grpc.insecure_channel(str(self.plugin.endpoints["otlp_grpc"]))
        self._call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(EXPORT_METHOD)

    def send(self, data: bytes) -> bytes:
        """Send a request as an application or a probe does."""
        return self._call(data, timeout=DEADLINE_S)

    def send_and_fail(self, data: bytes) -> grpc.RpcError:
        """Send a request that fails; return the error."""
        with pytest.raises(grpc.RpcError) as caught:
            self.send(data)
        return caught.value

    def read_log(self) -> list[dict[str, Any]]:
        """Return what was logged."""
        return [json.loads(line) for line in self.stderr.getvalue().splitlines()]

    def close(self) -> None:
        """Stop all."""
        self.channel.close()
        self.peer.close()
