"""Both programs in their images, as Kubernetes runs them: read-only root, temporary folder, the listed rights."""

import json
import os
import re
from http.client import HTTPConnection
from pathlib import Path

import pytest

from node_probe.capabilities import HOST_POINTS
from testbed.namespace import open_socket
from tests.collector_plugin.builders import TRACE_ID, make_request, make_resource_spans, make_span
from tests.kernel.made_node import Node
from tests.kubernetes.built.built_images import BuiltImage
from tests.kubernetes.built.container import running_container

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(1200)]

READY = r'^\{.*"message": ?"ready".*\}$'
READY_TIMEOUT_S = 300.0
"""A second or two for the programs' compiler, minutes where it shares its cores."""

STOP_TIMEOUT_S = 30.0
PLUGIN_USER = 65532


def test_all_modules_are_there(image: BuiltImage, node: Node, tmp_path: Path) -> None:
    """Nothing that a module imports was taken out, nor bcc, nor what the plugin's own traces need."""
    more = {"node-probe": "bcc", "collector-plugin": "opentelemetry.sdk.trace"}[image.program]
    package = image.program.replace("-", "_")
    code = (
        "import importlib, pkgutil\n"
        f"for module in pkgutil.iter_modules(importlib.import_module({package!r}).__path__, {package + '.'!r}):\n"
        "    importlib.import_module(module.name)\n"
        f"import {more}\n"
        "print('all imported')\n"
    )
    command = ["/usr/bin/python3", "-c", code]
    with running_container(image, tmp_path, node.node, command=command) as container:
        container.wait_for_output("^all imported$", READY_TIMEOUT_S)


def test_version_is_told(image: BuiltImage, node: Node, tmp_path: Path) -> None:
    """The package's own data are there."""
    command = [*image.config["Entrypoint"], "--version"]
    with running_container(image, tmp_path, node.node, command=command) as container:
        container.wait_for_output(f"^{image.program} {re.escape(image.name.rpartition(':')[2])}$", READY_TIMEOUT_S)


def test_program_runs(image: BuiltImage, node: Node, tmp_path: Path) -> None:
    """The probe compiles and attaches with three rights, the plugin passes a span on with none."""
    run = {"node-probe": run_probe, "collector-plugin": run_plugin}[image.program]
    run(image, node, tmp_path)


def run_probe(image: BuiltImage, node: Node, work_dir: Path) -> None:
    folder = write_config(
        image,
        work_dir,
        {
            "points": {"pod": False},
            "exporters": {"otlp": {"endpoint": "127.0.0.1:9", "tls": {"insecure": True}}},
            "telemetry": {"metrics": {"endpoint": "127.0.0.1:29464"}},
        },
    )
    rights = [right.label for right in HOST_POINTS]
    with running_container(image, work_dir, node.node, rights=rights, mounts={"/etc/hopspan": folder}) as container:
        ready = json.loads(container.wait_for_output(READY, READY_TIMEOUT_S)[0])
        assert ready["points"] == 2
        if ready["mechanism"] == "tcx":
            assert node.attached() == 2
        assert get(node, 29464, "/ready") == 200
        assert container.stop(STOP_TIMEOUT_S) == 0
    assert node.attached() == 0


def run_plugin(image: BuiltImage, node: Node, work_dir: Path) -> None:
    kept = work_dir / "kept"
    kept.mkdir()
    os.chown(kept, PLUGIN_USER, PLUGIN_USER)
    folder = write_config(
        image,
        work_dir,
        {
            "exporters": {"file": {"path": "/var/lib/hopspan/spans.jsonl"}},
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": "127.0.0.1:24318"}}}},
            "telemetry": {"metrics": {"endpoint": "127.0.0.1:29465"}},
        },
    )
    mounts = {"/etc/hopspan": folder, "/var/lib/hopspan": kept}
    with running_container(image, work_dir, node.node, mounts=mounts) as container:
        container.wait_for_output(READY, READY_TIMEOUT_S)
        assert (get(node, 29465, "/health"), get(node, 29465, "/ready")) == (200, 200)
        assert post_span(node, 24318) == 200
        assert container.stop(STOP_TIMEOUT_S) == 0
    assert TRACE_ID.hex() in (kept / "spans.jsonl").read_text()


def write_config(image: BuiltImage, work_dir: Path, settings: object) -> Path:
    """Write a configuration, which every user may read; return the folder that is shown to the container."""
    folder = work_dir / "config"
    folder.mkdir()
    (folder / f"{image.program}.yaml").write_text(json.dumps(settings))  # JSON is YAML
    return folder


def get(node: Node, port: int, path: str) -> int:
    """Return the status of the answer."""
    return ask(node, port, "GET", path)


def post_span(node: Node, port: int) -> int:
    """Send a span over OTLP/HTTP; return the status of the answer."""
    body = make_request(make_resource_spans([make_span()]))
    return ask(node, port, "POST", "/v1/traces", body)


def ask(node: Node, port: int, method: str, path: str, body: bytes | None = None) -> int:
    connection = HTTPConnection("127.0.0.1", port)
    with open_socket(node.node) as connection.sock:
        connection.sock.connect(("127.0.0.1", port))
        connection.request(method, path, body, {"content-type": "application/x-protobuf"})
        with connection.getresponse() as answer:
            return answer.status
