"""The plugin's configuration: defaults, and every fault with the key that it concerns."""

from pathlib import Path

import pytest

from collector_plugin.config import FileExporter, PluginConfig
from hopspan.config import ConfigError, parse_config, read_config
from hopspan.settings import OtlpExporter
from hopspan.values import Endpoint

EXAMPLE = Path(__file__).parents[2] / "otel-config" / "collector-plugin.yaml"

GOOD = "exporters: {otlp: {endpoint: 'localhost:4317', tls: {insecure: true}}}\n"

LOOPS = """
receivers:
  otlp: {protocols: {grpc: {endpoint: '0.0.0.0:1'}, http: {endpoint: '[::1]:2'}}}
  zipkin: {endpoint: 'Node-1:3'}
exporters:
  otlp: {endpoint: '127.0.0.9:1'}
  otlp_http: {endpoint: 'http://localhost:2'}
  otlp_http/2: {traces_endpoint: 'http://127.0.0.1:2/x'}
  zipkin: {endpoint: 'http://node-1.:3/api/v2/spans'}
  otlp/2: {endpoint: 'node-2:1'}
  otlp/3: {endpoint: 'localhost:3'}
"""

FAULTY = [
    ("", ["exporters: missing"]),
    ("exporters:\n", ["exporters: missing"]),
    ("exporters: {}\n", ["exporters: missing"]),
    ("exporters: {otlp: }", ["exporters.otlp.endpoint: missing"]),
    ("exporters: {file: {}}", ["exporters.file.path: missing"]),
    ("exporters: {file: {path: ''}}", ["exporters.file.path: expected str of length >= 1"]),
    (
        "exporters: {zipkin: {endpoint: 'http://z:9411'}}",
        ["exporters.zipkin.endpoint: has no path (Zipkin's is /api/v2/spans)"],
    ),
    ("exporters: {otlp_http: {}}", ["exporters.otlp_http.endpoint: missing"]),
    ("exporters: {otlp/: {}}", ["exporters.otlp/: unknown type (did you mean otlp?)"]),
    ("exporters: {kafka: {}}", ["exporters.kafka: unknown type"]),
    (GOOD + "recievers: {}", ["recievers: unknown key (did you mean receivers?)"]),
    (GOOD + "mode: tap\nacknowledge: accepted", ["acknowledge: has no effect while mode is tap"]),
    (GOOD + "mode: outline", ["mode: 'outline' is not one of inline, tap"]),
    (GOOD + "acknowledge: never", ["acknowledge: 'never' is not one of delivered, accepted"]),
    (GOOD + "window: 60 seconds", ["window: '60 seconds' is not a duration (such as 500ms, 60s, 10m)"]),
    (GOOD + "window: 0s", ["window: must be longer than zero"]),
    (GOOD + "window: 1s\nsettle: 2s", ["settle: is longer than window"]),
    (GOOD + "window: 601s", ["window: is longer than 10m"]),
    (GOOD + "spans: {detail: much}", ["spans.detail: 'much' is not one of hops, summary, slow"]),
    (GOOD + "spans: {slow_threshold: 1}", ["spans.slow_threshold: '1' is not a duration (such as 500ms, 60s, 10m)"]),
    (GOOD + "spans: {max_per_trace: 0}", ["spans.max_per_trace: expected int >= 1"]),
    (GOOD + "spans: {min_duration: 5}", ["spans.min_duration: '5' is not a duration (such as 500ms, 60s, 10m)"]),
    (
        GOOD + "receivers: {zipkin: {endpoint: 'localhost:24317', auth: {tokens: []}}}",
        ["receivers.zipkin.auth.tokens: expected at least one"],
    ),
    (
        GOOD + "kubernetes: {auth_type: kubeConfig}",
        ["kubernetes.auth_type: 'kubeConfig' is not one of serviceAccount, none"],
    ),
    (
        GOOD + "kubernetes: {tls: {insecure: true}}",
        ["kubernetes.tls.insecure: contradicts the https of a cluster's own API server (give api_server)"],
    ),
    (
        GOOD + "kubernetes: {api_server: 'https://a:1', tls: {insecure: true}}",
        ["kubernetes.tls.insecure: contradicts the https of api_server"],
    ),
    (
        GOOD + "kubernetes: {api_server: 'http://a:1', tls: {ca_file: a}}",
        ["kubernetes.tls.ca_file: has no effect while api_server begins with http:"],
    ),
    (
        GOOD + "receivers: {zipkin: {endpoint: 'localhost:24317'}, otlp: {protocols: {http: {endpoint: 'a:1'}}}}",
        ["receivers.zipkin.endpoint: takes the port of receivers.otlp.protocols.grpc"],
    ),
    (
        GOOD + "receivers: {otlp: {protocols: {http: {tls: {cert_file: a}}, grpc: {auth: {tokens: ['a b']}}}}}",
        [
            "receivers.otlp.protocols.http.tls.key_file: missing",
            "receivers.otlp.protocols.grpc.auth.tokens[0]: is not a bearer token (letters, digits and -._~+/=)",
        ],
    ),
    (
        GOOD + "receivers: {otlp: {protocols: {grpc: {endpoint: '4317', max_recv_msg_size_mib: 0}}}}",
        [
            "receivers.otlp.protocols.grpc.endpoint: '4317' is not host:port",
            "receivers.otlp.protocols.grpc.max_recv_msg_size_mib: expected int >= 1",
        ],
    ),
    (
        "exporters: {otlp: {endpoint: 'localhost:24317'}}",
        ["exporters.otlp.endpoint: is the plugin's own (receivers.otlp.protocols.grpc.endpoint)"],
    ),
    (
        LOOPS,
        [
            "exporters.otlp.endpoint: is the plugin's own (receivers.otlp.protocols.grpc.endpoint)",
            "exporters.otlp_http.endpoint: is the plugin's own (receivers.otlp.protocols.http.endpoint)",
            "exporters.otlp_http/2.traces_endpoint: is the plugin's own (receivers.otlp.protocols.http.endpoint)",
            "exporters.zipkin.endpoint: is the plugin's own (receivers.zipkin.endpoint)",
        ],
    ),
    (
        GOOD
        + "receivers: {otlp: {protocols: {http: {endpoint: '[::]:24317'}}}, zipkin: {endpoint: '10.0.0.1:24317'}}\n"
        "telemetry: {metrics: {endpoint: '127.0.0.1:24317'}}",
        [
            "receivers.otlp.protocols.http.endpoint: takes the port of receivers.otlp.protocols.grpc",
            "receivers.zipkin.endpoint: takes the port of receivers.otlp.protocols.http",
            "telemetry.metrics.endpoint: takes the port of receivers.otlp.protocols.grpc",
        ],
    ),
    (
        GOOD
        + "receivers: {zipkin: {endpoint: 'localhost:0'}, otlp: {protocols: {http: {endpoint: 'localhost:0'}}}}\n"
        "window: -1s\nsettle: 5",
        [
            "window: '-1s' is not a duration (such as 500ms, 60s, 10m)",
            "settle: '5' is not a duration (such as 500ms, 60s, 10m)",
        ],
    ),
    (
        GOOD + "telemetry: {logs: {level: loud}}",
        ["telemetry.logs.level: 'loud' is not one of debug, info, warn, error"],
    ),
]


@pytest.mark.parametrize(("text", "faults"), FAULTY)
def test_fault_names_its_key(text: str, faults: list[str]) -> None:
    """Whatever cannot be, contradicts, or is not in this version, is told by its key."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PluginConfig)
    assert list(caught.value.faults) == faults


@pytest.mark.parametrize("receivers", ["", "receivers:", "receivers: {}", "receivers: {otlp: }"])
def test_all_keys_have_defaults_but_the_exporter(receivers: str) -> None:
    """An exporter's endpoint is enough."""
    config = parse_config(GOOD + receivers, PluginConfig)
    assert config.receivers.otlp.protocols.grpc.endpoint == Endpoint("localhost", 24317)
    assert config.telemetry.metrics.endpoint == Endpoint("localhost", 29465)
    assert (config.window, config.settle) == (60 * 10**9, 2 * 10**9)
    assert (config.spans.min_duration, config.spans.slow_threshold) == (0, 10**6)
    assert config.spans.max_per_trace == 1000
    assert (config.mode, config.acknowledge, config.spans.detail) == ("inline", "delivered", "hops")


def test_receivers_beside_grpc_are_turned_on_by_name() -> None:
    """A port is opened only for what is asked for; its endpoint then has a default."""
    config = parse_config(GOOD, PluginConfig)
    assert (config.receivers.zipkin, config.receivers.otlp.protocols.http) == (None, None)
    config = parse_config(GOOD + "receivers: {zipkin: {}, otlp: {protocols: {http: {}}}}", PluginConfig)
    assert config.receivers.zipkin is not None
    assert config.receivers.otlp.protocols.http is not None
    assert config.receivers.zipkin.endpoint == Endpoint("localhost", 29411)
    assert config.receivers.otlp.protocols.http.endpoint == Endpoint("localhost", 24318)


def test_exporters_keep_their_order_and_names() -> None:
    """The first of the file acknowledges; a type may occur under several names."""
    text = "exporters:\n  file/b: {path: x}\n  otlp/2: {endpoint: 'a:1'}\n  otlp: {endpoint: 'b:2'}\n"
    exporters = parse_config(text, PluginConfig).exporters
    assert list(exporters) == ["file/b", "otlp/2", "otlp"]
    assert [type(settings) for settings in exporters.values()] == [FileExporter, OtlpExporter, OtlpExporter]


def test_example_is_the_defaults_written_out() -> None:
    """The commented example is valid, and shows each key with the value that it has anyway."""
    example = read_config(EXAMPLE, PluginConfig)
    assert example == PluginConfig(exporters=example.exporters)
    assert list(example.exporters) == ["otlp"]
