"""A made-up node for whole agents: a bridge and a pod in namespaces of their own, and a node-probe that runs there.

Needs no overlay and no sidecar, so it works on other kernels too.
"""

import ctypes
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path

from node_probe.bpf import TCX_EGRESS, TCX_INGRESS, call_bpf
from node_probe.device_dump import list_devices
from node_probe.namespaces import entered
from tests.compiled.sharing import find_modules_in
from tests.house.repository import ROOT
from tests.soak import EMULATED

DEADLINE_S = 600.0 if EMULATED in os.environ else 120.0
"""Compiling takes a second or two, a minute under emulation, and several where that shares its cores."""

BPF_PROG_QUERY = 16

METRICS_PORT = 29464
"""On the loopback of the node's own namespace."""


def run(*command: str, lines: Sequence[str] = ()) -> str:
    """Run a command, with the lines as its input; return what it printed."""
    text = "".join(f"{line}\n" for line in lines)
    return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {DEADLINE_S} s"
        time.sleep(0.02)


class Node:
    """A namespace with a bridge, and a pod's veth to another."""

    def __init__(self, tag: str) -> None:
        self.probes: list[Probe] = []
        self.node, self.pod = f"hstest-{tag}-n", f"hstest-{tag}-p"
        in_node = (
            "link add br0 type bridge",
            f"link add veth0 type veth peer name eth0 netns {self.pod}",
            "link set veth0 master br0 up",
            "link set br0 up",
            "link set lo up",
        )
        # A process for each line would take seconds in an emulated machine.
        run("ip", "-batch", "-", lines=[f"netns add {name}" for name in (self.node, self.pod)])
        run("ip", "-n", self.node, "-batch", "-", lines=in_node)
        run("ip", "-n", self.pod, "link", "set", "eth0", "up")

    def remove(self) -> None:
        """End its probes, and remove it."""
        for probe in self.probes:
            probe.process.kill()
            probe.process.wait(DEADLINE_S)
            probe.manager.close()
        for name in (self.pod, self.node):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def filters(self) -> str:
        """Return all qdiscs and filters of both namespaces, by the kernel's own words."""
        told = [
            run(
                *("tc", "-n", namespace, "-batch", "-"),
                lines=["qdisc show", *(f"filter show dev {device} {side}" for side in ("ingress", "egress"))],
            )
            for namespace, device in ((self.node, "veth0"), (self.pod, "eth0"))
        ]
        return "".join(told)

    def attached(self) -> int:
        """Return how many programs the kernel runs by tcx on both devices and in both directions."""
        total = 0
        for name, device in ((self.node, "veth0"), (self.pod, "eth0")):
            with entered(Path("/run/netns") / name):
                ifindex = socket.if_nametoindex(device)
                total += sum(count_attached(ifindex, kind) for kind in (TCX_INGRESS, TCX_EGRESS))
        return total


class _ProgramQuery(ctypes.Structure):
    _fields_ = (
        ("target_ifindex", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("count", ctypes.c_uint32),
        ("rest", ctypes.c_uint8 * 36),
    )


def count_attached(ifindex: int, attach_type: int) -> int:
    """Return how many programs a device of the current namespace runs by tcx; 0 where the kernel has none."""
    query = _ProgramQuery(target_ifindex=ifindex, attach_type=attach_type)
    try:
        call_bpf(BPF_PROG_QUERY, query)
    except OSError:
        return 0
    return int(query.count)


class Probe:
    """A node-probe that has nobody to send to."""

    def __init__(self, node: Node, directory: Path, *, wrapper: Sequence[str] = (), tree: Path = ROOT) -> None:
        """Start the program in `tree` in the node's namespace, by way of the command `wrapper`; it is ready then."""
        config = directory / "probe.yaml"
        config.write_text(
            'exporters: {otlp: {endpoint: "127.0.0.1:9", tls: {insecure: true}}}\n'
            f'telemetry: {{metrics: {{endpoint: "127.0.0.1:{METRICS_PORT}"}}}}\n'
            "limits: {cpu: 0}\n"  # a slow machine must lose nothing
        )
        self.log = directory / f"probe-{secrets.token_hex(4)}.log"
        program = [str(find_python(tree)), "-m", "node_probe", "--config", str(config)]
        command = ["ip", "netns", "exec", node.node, *wrapper, *program]
        with self.log.open("wb") as log:
            environment = self._listen(directory) | find_modules_in(tree)
            self.process = subprocess.Popen(command, stderr=log, stdout=log, cwd=tree, env=environment)
        node.probes.append(self)
        self._node = node
        wait_until(self._is_ready, "a ready probe")

    def _listen(self, directory: Path) -> dict[str, str]:
        """Stand where systemd would; return the environment that says so."""
        path = directory / f"notify-{secrets.token_hex(4)}"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(path))
        self.manager.settimeout(DEADLINE_S)
        path.chmod(0o777)
        return {**os.environ, "NOTIFY_SOCKET": str(path)}

    def read_health(self) -> tuple[int, dict[str, object]]:
        """Return status and body of the health page."""
        connection = HTTPConnection("127.0.0.1", METRICS_PORT, timeout=DEADLINE_S)
        with entered(Path("/run/netns") / self._node.node):
            connection.connect()
        connection.request("GET", "/health")
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return '"ready"' in self.log.read_text()

    @property
    def mechanism(self) -> str:
        match = re.search(r'"mechanism": "(\w+)"', self.log.read_text())
        assert match is not None
        return match[1]

    def program_ids(self) -> set[str]:
        """Return the ids of the programs that the process holds, as the kernel tells of its descriptors."""
        told = [path.read_text() for path in Path(f"/proc/{self.process.pid}/fdinfo").iterdir()]
        return set(re.findall(r"^prog_id:\s*(\d+)$", "\n".join(told), re.MULTILINE))

    def capabilities(self) -> dict[str, set[int]]:
        """Return the sets of all its threads by the names of proc(5); a set that differs fails."""
        found: dict[str, set[int]] = {}
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            for name, mask in re.findall(r"^(Cap\w+):\s*(\w+)$", path.read_text(), re.MULTILINE):
                numbers = {number for number in range(64) if int(mask, 16) >> number & 1}
                assert found.setdefault(name, numbers) == numbers, path
        return found

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def find_python(tree: Path) -> Path:
    """Return this interpreter, in the view of the checkout where it is part of that."""
    python = Path(sys.executable)
    return tree / python.relative_to(ROOT) if python.is_relative_to(ROOT) else python


def has_device(name: str) -> bool:
    return any(device.name == name for device in list_devices())


def expect_late_pod(node: Node, probe: Probe, points: int) -> None:
    """Require that a pod that comes now gets its points, as many as the first one has; and that it can go again."""
    late = f"{node.pod}-late"
    run("ip", "netns", "add", late)
    try:
        run("ip", "-n", node.node, "link", "add", "veth1", "type", "veth", "peer", "name", "eth0", "netns", late)
        run("ip", "-n", node.node, "link", "set", "veth1", "master", "br0", "up")
        wait_until(lambda: f'"points": {2 * points}' in probe.log.read_text(), "the late pod's points")
    finally:
        run("ip", "netns", "del", late)
    # A namespace that is kept alive keeps its veth.
    with entered(Path("/run/netns") / node.node):
        wait_until(lambda: not has_device("veth1"), "the end of the late pod's veth")
    was, is_now = f'"points": {2 * points}', f'"points": {points}'
    wait_until(lambda: is_now in probe.log.read_text().split(was)[-1], "the release of its points")
