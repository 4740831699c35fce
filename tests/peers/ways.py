"""The shipped ways through a Collector: which programs with which files, and where applications and probes send."""

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.peers import choose_ports
from testbed.process import ManagedProcess
from tests.peers.peers import HOST, Peers

PLUGIN_RECEIVER, PLUGIN_EXPORTER = "localhost:24317", "localhost:14317"
"""As they stand in plugin-inline.yaml and plugin-tap.yaml."""


@dataclass(frozen=True)
class Way:
    """A Collector and a plugin, with their places as `host:port`."""

    peers: Peers
    config: str
    plugin_config: str
    otlp: str
    """Where applications send OTLP/gRPC."""
    otlp_http: str
    zipkin: str
    plugin: str
    """Where probes send."""
    back: str
    """Where the plugin sends."""

    def start_collector(self, backend: str, within: Sequence[str] = (), **more: object) -> ManagedProcess:
        """Start the Collector, by the command `within`, with `more` in its environment; it sends to `backend`."""
        places = {
            "OTLP_GRPC_ENDPOINT": self.otlp,
            "OTLP_HTTP_ENDPOINT": self.otlp_http,
            "ZIPKIN_ENDPOINT": self.zipkin,
            "INJECTED_ENDPOINT": self.back,
            "NETWORK_ENDPOINT": self.back,
            "PLUGIN_ENDPOINT": self.plugin,
            "BACKEND_ENDPOINT": backend,
        }
        return self.peers.start_collector(self.config, {**places, **more}, within)

    def start_plugin(self) -> ManagedProcess:
        """Start the plugin."""
        return self.peers.start_plugin(self.plugin_config, {PLUGIN_RECEIVER: self.plugin, PLUGIN_EXPORTER: self.back})


def make_way(peers: Peers, config: str, plugin_config: str = "plugin-inline.yaml") -> Way:
    """Return the way with places of its own; nothing is started."""
    return Way(peers, config, plugin_config, *(f"{HOST}:{port}" for port in choose_ports(5)))
