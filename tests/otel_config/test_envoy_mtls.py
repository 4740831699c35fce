"""The shipped sidecars of meshes with mutual TLS, on a real Envoy: their CLIENT spans name the connection."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector_plugin.flow_names import FlowNames
from collector_plugin.flow_settings import FlowAttributes
from hopspan.flow_claims import IntervalClaim
from testbed.certificates import Authority
from testbed.namespace import call_in, open_socket
from testbed.recorder import RecordedSpan, Recorder
from tests.collector_plugin.test_flow_names import pack
from tests.otel_config.running_envoy import FOLDER, Sidecar, running_sidecar
from tests.requirements import require_root

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(180)]

ADDRESS, PORT = "10.0.0.1", 15006
CERTIFICATES = "/etc/envoy/"
REQUEST = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n"
TIMEOUT_S = 30.0


def read_config(work_dir: Path) -> Any:
    """Return the shipped configuration, with certificates that are made for it."""
    require_root()
    authority = Authority(work_dir / "authority")
    pair = authority.issue("sidecar")
    for name, path in (("tls.crt", pair.cert_file), ("tls.key", pair.key_file), ("ca.crt", authority.ca_file)):
        (work_dir / name).symlink_to(path)
    text = (FOLDER / "envoy-mtls.yaml").read_text()
    assert text.count(CERTIFICATES) == 6
    return yaml.safe_load(text.replace(CERTIFICATES, f"{work_dir}/"))


@contextmanager
def running_traced(config: Any, work_dir: Path) -> Iterator[tuple[Sidecar, Recorder]]:
    """Hold the sidecar, with an address that is no loopback one, and what takes its spans."""
    with running_sidecar(config, work_dir) as sidecar:
        address = ["address", "add", f"{ADDRESS}/32", "dev", "lo"]
        subprocess.run(["ip", "-n", sidecar.namespace, *address], check=True)
        with call_in(sidecar.namespace, lambda: Recorder("127.0.0.1:24317")) as recorder:
            yield sidecar, recorder


def find_client_span(recorder: Recorder) -> RecordedSpan:
    """Return the span of the request that the sidecar sent."""
    spans = recorder.wait_for(lambda spans: any(span.kind == "CLIENT" for span in spans), TIMEOUT_S)
    (span,) = [span for span in spans if span.kind == "CLIENT"]
    return span


def read_claim(span: RecordedSpan) -> IntervalClaim:
    """Return what the plugin claims by default for the span."""
    values = {key.encode(): value.encode() for key, value in span.attributes.items()}
    flow = FlowNames(FlowAttributes()).read((span.trace_id, span.span_id), span.start_ns, span.end_ns, values)
    assert isinstance(flow, IntervalClaim), flow
    return flow


def check_refuses_plain_text(sidecar: Sidecar) -> None:
    """Whoever speaks no TLS to the inbound listener hears nothing of HTTP."""
    with open_socket(sidecar.namespace) as plain:
        plain.settimeout(TIMEOUT_S)
        plain.connect((ADDRESS, PORT))
        plain.sendall(REQUEST)
        assert not plain.recv(100).startswith(b"HTTP")


def check_request(config: Any, work_dir: Path) -> None:
    """Send a request through both listeners; its CLIENT span names the connection between them."""
    with running_traced(config, work_dir) as (sidecar, recorder):
        _, answer = sidecar.pass_on(REQUEST)
        claim = read_claim(find_client_span(recorder))
        check_refuses_plain_text(sidecar)
    assert answer.endswith(b"ok")
    assert (claim.client_address, claim.server_address, claim.server_port) == (pack(ADDRESS), pack(ADDRESS), PORT)
    assert claim.client_port not in (0, PORT)
    assert claim.is_one_at_a_time


def test_client_span_names_the_connection(tmp_path: Path) -> None:
    """Both ends, and that it has one request at a time."""
    check_request(read_config(tmp_path), tmp_path)


def test_http2_is_told_apart(tmp_path: Path) -> None:
    """By the protocol of the connection to the other sidecar, whatever the application speaks."""
    config = read_config(tmp_path)
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {"@type": f"type.googleapis.com/{name}", "explicit_http_config": {"http2_protocol_options": {}}}
    config["static_resources"]["clusters"][0]["typed_extension_protocol_options"] = {name: options}
    with running_traced(config, tmp_path) as (sidecar, recorder):
        sidecar.pass_on(REQUEST)
        span = find_client_span(recorder)
    assert span.attributes["hopspan.protocol"] == "HTTP/2"
    assert not read_claim(span).is_one_at_a_time


def test_istio_filter_does_the_same(tmp_path: Path) -> None:
    """The EnvoyFilter's patch, merged into the outbound listener's filter."""
    _, istio = yaml.safe_load_all((FOLDER / "istio-flows.yaml").read_text())
    patch, for_gateways = istio["spec"]["configPatches"]
    assert (patch["applyTo"], patch["patch"]["operation"]) == ("NETWORK_FILTER", "MERGE")
    contexts = [one["match"].pop("context") for one in (patch, for_gateways)]
    assert contexts == ["SIDECAR_OUTBOUND", "GATEWAY"]
    assert patch == for_gateways
    config = read_config(tmp_path)
    (listener,) = (one for one in config["static_resources"]["listeners"] if one["name"] == "outbound")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    bare = json.loads(json.dumps(manager["tracing"]))
    del manager["tracing"]["custom_tags"], manager["tracing"]["spawn_upstream_span"]
    merged = patch["patch"]["value"]["typed_config"]
    assert merged["@type"] == manager["@type"]
    manager["tracing"] |= merged["tracing"]
    assert manager["tracing"] == bare
    check_request(config, tmp_path)
