"""The topology's names fit the kernel's limits, and its rules and configurations are what the tools accept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.errors import TestbedError
from testbed.mutual_tls import make_mutual_tls
from testbed.requirements import find_envoy
from testbed.services import render_service_rules
from testbed.sidecar import render_config
from testbed.topology import (
    CART,
    FRONTEND,
    MANAGEMENT_BRIDGE,
    MANAGEMENT_GATEWAY,
    NODE_1,
    NODE_2,
    NODES,
    PLUGIN_ENDPOINT,
    PODS,
    ROOT_LINK_PREFIX,
    SERVICES,
    Pod,
)

IFNAMSIZ = 16  # with the final zero
CHAIN_LIMIT = 28  # iptables(8)


def test_link_names_fit_the_kernel_and_are_found_again() -> None:
    """Link names have at most 15 characters, differ, and those of the root namespace have the prefix."""
    veths = [pod.host_veth for pod in PODS]
    root_links = [MANAGEMENT_BRIDGE, *(node.management_link for node in NODES)]
    assert all(len(name) < IFNAMSIZ for name in veths + root_links)
    assert len(set(veths + root_links)) == len(veths + root_links)
    assert all(name.startswith(ROOT_LINK_PREFIX) for name in root_links)


def test_addresses_are_those_of_the_documentation() -> None:
    """The addresses that users type are stable."""
    assert [str(pod.address) for pod in PODS] == ["10.244.1.10", "10.244.1.11", "10.244.2.10"]
    assert [str(node.underlay_address) for node in NODES] == ["172.30.0.1", "172.30.0.2"]
    assert [str(node.management_address) for node in NODES] == ["198.18.0.11", "198.18.0.12"]
    assert (str(NODE_2.overlay_address), str(NODE_1.gateway)) == ("10.244.2.0", "10.244.1.1")
    assert (str(MANAGEMENT_GATEWAY), CART.url) == ("198.18.0.1", "http://10.244.2.10:8080")


def test_chains_are_named_as_kube_proxy_names_them() -> None:
    """A chain's name is a prefix and a hash, within the limit of iptables, and each service has two."""
    chains = [line.split()[0].removeprefix(":") for line in render_service_rules().splitlines() if line[0] == ":"]
    assert all(len(chain) <= CHAIN_LIMIT for chain in chains)
    assert len([chain for chain in chains if chain.startswith("KUBE-SVC-")]) == len(SERVICES)
    assert len([chain for chain in chains if chain.startswith("KUBE-SEP-")]) == len(SERVICES)


def test_services_of_others_come_before_ours() -> None:
    """Whoever asks one of ours passes the rules of all others, each with a cluster address of its own."""
    rules = [line for line in render_service_rules(300).splitlines() if line.startswith("-A KUBE-SERVICES ")]
    addresses = [rule.split()[3] for rule in rules]
    assert len(set(addresses)) == 300 + len(SERVICES)
    assert addresses[300:] == [f"{service.cluster_address}/32" for service in SERVICES]


@pytest.mark.parametrize("options", [(), ("http2",), ("queueing",), ("fresh",), ("tls",), ("tls", "http2")], ids=str)
@pytest.mark.parametrize("pod", PODS, ids=lambda pod: str(pod.service))
def test_envoy_accepts_the_configuration(pod: Pod, options: tuple[str, ...], tmp_path: Path) -> None:
    """A stock Envoy takes the sidecar's configuration."""
    try:
        envoy = find_envoy()
    except TestbedError as error:
        pytest.skip(str(error))
    tls = make_mutual_tls(tmp_path / "tls")[pod.service] if "tls" in options else None
    config_path = tmp_path / "sidecar.yaml"
    flags = {option: True for option in options if option != "tls"}
    config_path.write_text(render_config(pod, PLUGIN_ENDPOINT, tls, **flags))
    command = [str(envoy), "--mode", "validate", "--config-path", str(config_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_sidecar_sends_spans_to_the_given_endpoint() -> None:
    """The plugin's endpoint is where the configuration sends spans."""
    clusters = json.loads(render_config(FRONTEND, "192.0.2.7:4317"))["static_resources"]["clusters"]
    plugin = next(cluster for cluster in clusters if cluster["name"] == "plugin")
    endpoint = plugin["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    assert endpoint["address"]["socket_address"] == {"address": "192.0.2.7", "port_value": 4317}


def test_check_names_what_is_missing() -> None:
    """Without iproute2 on the path, `check` says so, a line each, and exits with 1."""
    command = [sys.executable, "-m", "testbed", "check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": "/nonexistent"})
    assert done.returncode == 1
    assert "ip: no such command (package iproute2)" in done.stdout.splitlines()
