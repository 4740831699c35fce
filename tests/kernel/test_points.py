"""`node-probe points` on a made-up node: what it prints is what the agent then attaches, and it attaches nothing."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.house.repository import ROOT
from tests.kernel.made_node import Node, Probe, find_python, run
from tests.kernel.rights import as_nobody_with, readable_tree
from tests.kernel.wires import add_nic, add_overlay, add_peer, programs_at

pytestmark = pytest.mark.bpf


def ask(node: Node, *options: str, wrapper: Sequence[str] = (), tree: Path = ROOT) -> Any:
    """Return what the command of `tree` prints as JSON."""
    python = [str(find_python(tree)), "-m", "node_probe", "points", "--json"]
    return json.loads(run("env", "-C", str(tree), "ip", "netns", "exec", node.node, *wrapper, *python, *options))


def furnish(node: Node) -> None:
    add_nic(node, 0)
    add_peer(node, add_overlay(node, 1), "192.0.2.2")


def test_it_tells_what_the_agent_attaches(node: Node, tmp_path: Path) -> None:
    """Each point that is told, and nothing else, is there once an agent runs; before, nothing is."""
    furnish(node)
    told = ask(node)
    places = {(node.pod if p["side"] == "pod" else node.node, p["device"]) for p in told["points"]}
    assert places == {(node.node, "veth0"), (node.pod, "eth0"), (node.node, "nic0"), (node.node, "overlay1")}
    assert [programs_at(*place) for place in places] == [0] * 4
    probe = Probe(node, tmp_path)
    assert {p["mechanism"] for p in told["points"]} == {told["mechanism"]} == {probe.mechanism}
    for namespace, device in places:
        count = sum(p["device"] == device for p in told["points"])
        assert programs_at(namespace, device) == count == 2
    assert f'"points": {len(told["points"])}' in probe.log.read_text()
    assert told["not_seen"] == []
    assert {d["device"] for d in told["devices_without_points"]} == {"lo", "br0", "wire0"}


def test_configuration_is_respected(node: Node, tmp_path: Path) -> None:
    """Devices that are excluded are told as such, and without pod points the host's end is first and last."""
    furnish(node)
    config = tmp_path / "probe.yaml"
    config.write_text(
        'exporters: {otlp: {endpoint: "127.0.0.1:9", tls: {insecure: true}}}\n'
        'points: {pod: false, exclude: ["overlay*"]}\n'
    )
    told = ask(node, "--config", str(config))
    assert {p["program"] for p in told["points"]} == {"veth_ingress_first", "veth_egress_last"}
    reasons = {d["device"]: d["reason"] for d in told["devices_without_points"]}
    assert reasons["overlay1"] == "excluded by points.exclude"
    config.write_text("points: {}\n")
    command = [
        "ip",
        "netns",
        "exec",
        node.node,
        sys.executable,
        "-m",
        "node_probe",
        "points",
        "--config",
        str(config),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "exporters: missing" in done.stderr


def test_ordinary_user_sees_the_points_and_what_is_hidden(node: Node) -> None:
    """Without any right the same points are told, and what could not be seen is named with the right it needs."""
    furnish(node)
    whole = ask(node)
    with readable_tree() as tree:
        told = ask(node, wrapper=as_nobody_with(()), tree=tree)
    assert [(p["ifindex"], p["program"]) for p in told["points"]] == [
        (p["ifindex"], p["program"]) for p in whole["points"]
    ]
    assert {p["device"] for p in told["points"] if p["side"] == "pod"} == {None}
    assert {p["device"] for p in whole["points"] if p["side"] == "pod"} == {"eth0"}
    names, mechanism = told["not_seen"]
    assert "1 pods" in names
    assert "CAP_SYS_ADMIN" in names
    assert "CAP_BPF" in mechanism
