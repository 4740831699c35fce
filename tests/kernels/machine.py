"""One of two machines joined by a cable: what runs inside a guest, as `python -m tests.kernels.machine 1|2`.

Each is a node with its pods and its node-probe. Machine 1 has the plugin, the client, and who observes the wall
clocks; machine 2 the server, and a wall clock that was set wrong. No wait depends on how fast a guest is.
"""

import json
import platform
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from testbed.command import run_command, run_ip_batch
from testbed.deadline import wait_until
from testbed.namespace import write_sysctls
from testbed.overlay import render_overlay_forwarding, render_overlay_links
from testbed.process import ManagedProcess, run_in
from testbed.routed import LINK_LOCAL_GATEWAY, list_pods, list_veth_sysctls, render_routed_node, render_routed_pod
from testbed.services import render_service_rules
from testbed.topology import (
    FRONTEND,
    NODE_1,
    NODE_2,
    NODES,
    OVERLAY_MTU_BYTES,
    POD_DEVICE,
    UNDERLAY_DEVICE,
    UNDERLAY_NETWORK,
    Node,
)
from tests.compiled.sharing import compiled_once
from tests.kernels.machine_report import Report, render_report
from tests.kernels.wall_clocks import Bounds, asking, echoing, observe
from tests.testbed.hop_rules import CART_HOPS
from tests.testbed.otlp_peer import OtlpPeer, send_request
from tests.testbed.plain_http import ask, connected, render_parents, serving
from tests.testbed.programs_under_test import stop_and_count

WRONG_BY_S = 3607
"""How much machine 2's wall clock is put forward."""

CONNECTIONS = 3
BATCHES = 5
BATCH = 9
"""So many exchanges, one after the other, until their parents are sent."""

EXCHANGES = BATCHES * BATCH
INTERVAL_S = 0.1
ECHOES = 4
"""After each exchange."""

PLUGIN = f"{NODE_1.underlay_address}:24317"
CONTROL = (str(NODE_2.underlay_address), 7008)
READY = b"R"
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
STEADY_SOURCE = "hpet"
"""QEMU's runs by the host's clock. A TSC's frequency is what the kernel guessed while it was being emulated."""

PATIENCE_S = 60
"""What TCP waits before it sends anything again: a busy host answers late, and each sending would be an attempt."""

START_TIMEOUT_S = 600.0
"""The programs are compiled, but all else is slow too on an emulated machine, and two share a busy host."""

DELIVERY_TIMEOUT_S = 120.0
CONNECT_TIMEOUT_S = 5.0


def main() -> None:
    """Build the node, play its part and print the report."""
    node = NODES[int(sys.argv[1]) - 1]
    CLOCK_SOURCE.write_text(STEADY_SOURCE)
    build_node(node)
    with compiled_once(), TemporaryDirectory() as directory:
        play = run_near if node == NODE_1 else run_far
        sys.stdout.write(render_report(play(Path(directory))))


def build_node(node: Node) -> None:
    """Make this machine a node: underlay, pods, overlay and services."""
    lines = [
        f"addr add {node.underlay_address}/{UNDERLAY_NETWORK.prefixlen} dev {UNDERLAY_DEVICE}",
        f"link set {UNDERLAY_DEVICE} up",
    ]
    for pod in list_pods(node):
        inside = f"peer name {POD_DEVICE} mtu {OVERLAY_MTU_BYTES} address {pod.mac} netns {pod.namespace}"
        lines += [
            f"netns add {pod.namespace}",
            f"link add name {pod.host_veth} mtu {OVERLAY_MTU_BYTES} type veth {inside}",
        ]
    run_ip_batch([*lines, *render_routed_node(node), *render_overlay_links(node)])
    for name, value in {"net/ipv4/ip_forward": "1", **list_veth_sysctls(node)}.items():
        Path("/proc/sys", name).write_text(value)
    for pod in list_pods(node):
        run_ip_batch(render_routed_pod(pod), pod.namespace)
        patience = f"route change default via {LINK_LOCAL_GATEWAY} dev {POD_DEVICE} rto_min {PATIENCE_S}s"
        run_ip_batch([patience], pod.namespace)
        write_sysctls(pod.namespace, {"net/ipv4/tcp_early_retrans": "0"})
    run_command(["bridge", "-batch", "-"], "".join(f"{line}\n" for line in render_overlay_forwarding(node)))
    run_command(["iptables-restore", "--noflush"], render_service_rules())


def run_far(work_dir: Path) -> Report:
    """Put the clock forward, serve until machine 1 hangs up, and report."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + WRONG_BY_S)
    with (
        socket.create_server(CONTROL) as listener,
        start_probe(work_dir, NODE_2) as probe,
        serving(),
        echoing(str(NODE_2.underlay_address)),
    ):
        probe.wait_for_output('"ready"', START_TIMEOUT_S)
        listener.settimeout(START_TIMEOUT_S)
        control, _ = listener.accept()
        with control:
            control.settimeout(START_TIMEOUT_S)
            control.sendall(READY)
            control.recv(1)
        return make_report({"node-probe": stop_and_count(probe)})


def run_near(work_dir: Path) -> Report:
    """Start plugin and probe, talk to machine 2 once it is ready, wait for all network spans, and report."""
    with (
        OtlpPeer() as sink,
        start_plugin(work_dir, sink.endpoint) as plugin,
        start_probe(work_dir, NODE_1) as probe,
    ):
        for process in (plugin, probe):
            process.wait_for_output('"ready"', START_TIMEOUT_S)
        with connect_control() as control:
            assert control.recv(1) == READY
            bounds = talk()
            spans = EXCHANGES * (1 + len(CART_HOPS))
            sink.wait_for(lambda got: len(got) >= spans, DELIVERY_TIMEOUT_S)
        counts = {"node-probe": stop_and_count(probe), "collector-plugin": stop_and_count(plugin)}
    return make_report(counts, sink.groups, bounds)


def talk() -> list[Bounds]:
    """Exchange requests over some connections, send their parents, and return what was seen of the wall clocks."""
    seen: list[Bounds] = []
    due_s = time.monotonic()
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(FRONTEND)) for _ in range(CONNECTIONS)]
        for client in clients:
            client.settimeout(START_TIMEOUT_S)
        near = stack.enter_context(asking(str(NODE_2.underlay_address)))
        for _ in range(BATCHES):
            exchanges = []
            for number in range(BATCH):
                wait_until(lambda: time.monotonic() >= due_s, "time stands still", START_TIMEOUT_S)  # noqa: B023
                due_s = time.monotonic() + INTERVAL_S
                exchanges.append(ask(clients[number % CONNECTIONS]))
                seen += observe(near, ECHOES)
            send_request(PLUGIN, render_parents(exchanges))
    return seen


def connect_control() -> socket.socket:
    """Return a connection to machine 2, which answers once it is ready."""
    opened: list[socket.socket] = []

    def is_connected() -> bool:
        try:
            opened.append(socket.create_connection(CONTROL, CONNECT_TIMEOUT_S))
        except OSError:
            return False
        return True

    wait_until(is_connected, "machine 2 did not listen", START_TIMEOUT_S)
    opened[0].settimeout(START_TIMEOUT_S)
    return opened[0]


def start_plugin(work_dir: Path, sink: str) -> ManagedProcess:
    """Start collector-plugin, reached over the cable too."""
    config = {
        "window": "10m",
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": PLUGIN}}}},
        "exporters": {"otlp": {"endpoint": sink, "tls": {"insecure": True}}},
    }
    return start_program("collector_plugin", work_dir, config)


def start_probe(work_dir: Path, node: Node) -> ManagedProcess:
    """Start node-probe, without a limit of CPU: an emulated core is slow."""
    config = {
        "node": {"name": node.name},
        "limits": {"cpu": 0},
        "exporters": {"otlp": {"endpoint": PLUGIN, "tls": {"insecure": True}}},
    }
    return start_program("node_probe", work_dir, config)


def start_program(module: str, work_dir: Path, config: dict[str, Any]) -> ManagedProcess:
    """Start one of hopspan's programs."""
    path = work_dir / f"{module}.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    command = [sys.executable, "-m", module, "--config", str(path)]
    return run_in(None, command, log_path=work_dir / f"{module}.log")


def make_report(
    counts: dict[str, dict[str, int]], groups: list[bytes] | None = None, bounds: list[Bounds] | None = None
) -> Report:
    """Return the report with what this machine is."""
    source = CLOCK_SOURCE.read_text().strip()
    clock_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Report(platform.release(), clock_id, source, counts, groups or [], bounds or [])


if __name__ == "__main__":
    main()
