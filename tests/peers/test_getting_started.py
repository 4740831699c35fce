"""docs/getting-started.md, command by command as it stands there, on two nodes with an overlay and real backends.

The commands of other pages are run beside what it starts.
"""

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from testbed.client import send_requests
from testbed.deadline import wait_until
from testbed.mesh import started_mesh
from testbed.network import two_nodes_vxlan
from testbed.peers import find_collector, find_jaeger
from testbed.process import ManagedProcess, run_in
from testbed.requirements import missing_requirements
from testbed.topology import (
    CART,
    CHECKOUT_URL,
    FRONTEND,
    MANAGEMENT_GATEWAY,
    NODE_1,
    NODE_2,
    NODES,
    OVERLAY_DEVICE,
    UNDERLAY_DEVICE,
)
from tests.house.page_blocks import Block, read_blocks
from tests.house.repository import ROOT
from tests.peers.backend import ARRIVAL_TIMEOUT_S
from tests.peers.jaeger_api import start_jaeger
from tests.peers.peers import START_TIMEOUT_S, Peers
from tests.peers.zipkin_server import find_zipkin
from tests.requirements import lack, require_bcc

pytestmark = [pytest.mark.peers, pytest.mark.testbed, pytest.mark.bpf, pytest.mark.timeout(900)]

BLOCKS = read_blocks((ROOT / "docs" / "getting-started.md").read_text())
WAYS = {"Before Zipkin": "from Zipkin", "Before Jaeger": "from Jaeger", "Beside a Collector": "from Jaeger"}
MESH_PORT = {"Beside a Collector": 4317}
PLUGIN_PORT = 24317
OTHER_PAGES = ("hops.md", "points.md", "security.md", "top.md", "troubleshooting.md")
WRITING = r"skb_(?!load_bytes|cgroup_id|ancestor)|redirect|set_|change|adjust|store|clone|push|pop"
"""Names of the kernel's helpers that change or move packets, and some that would only look so."""

VETHS = {NODE_1.namespace: FRONTEND.host_veth, NODE_2.namespace: CART.host_veth}


class Machines:
    """Two nodes, and the machine of the plugin, each with a directory of its own to run commands in."""

    def __init__(self, directory: Path, environment: Mapping[str, str], running: ExitStack) -> None:
        """Start nothing yet."""
        self.directory = directory
        self.environment = dict(environment)
        self._running = running

    def run(self, block: Block) -> list[str]:
        """Run a block where it says; return what it printed, once a machine. It must succeed."""
        places = self._find_places(block.place)
        if block.ready is not None:  # these end with the thread that starts them
            return [self._run_at(namespace, block) for namespace in places]
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda namespace: self._run_at(namespace, block), places))

    def _find_places(self, place: str) -> list[str | None]:
        return [node.namespace for node in NODES] if place == "every node" else [None]

    def _run_at(self, namespace: str | None, block: Block) -> str:
        directory = self.directory / (namespace or "plugin")
        directory.mkdir(exist_ok=True)
        if not (link := directory / "otel-config").exists():
            link.symlink_to(ROOT / "otel-config")
        enter = [] if namespace is None else ["ip", "netns", "exec", namespace]
        if block.ready is None:
            shell = [*enter, "bash", "-euo", "pipefail", "-c", block.commands]
            devices = {"NIC": UNDERLAY_DEVICE, "VXLAN": OVERLAY_DEVICE, "VETH": VETHS.get(namespace or "", "")}
            environment = {**os.environ, **self.environment, **devices}
            done = subprocess.run(
                shell, cwd=directory, env=environment, capture_output=True, text=True, timeout=300, check=False
            )
            assert done.returncode == 0, f"{block.commands}\n{done.stdout}{done.stderr}"
            return done.stdout
        return self._start_at(namespace, directory, block).read_log()

    def _start_at(self, namespace: str | None, directory: Path, block: Block) -> ManagedProcess:
        # The shell becomes the program, so that it is the program that is stopped.
        command = ["bash", "-euc", f"cd {directory}; exec env {block.commands}"]
        log_path = directory / f"{block.commands.split()[0].partition('=')[0]}.log"
        process = self._running.enter_context(
            run_in(namespace, command, log_path=log_path, environment=self.environment)
        )
        process.wait_for_output(str(block.ready), START_TIMEOUT_S)
        return process


def pick(section: str) -> list[Block]:
    """Return the blocks whose section, or the one above it, begins so."""
    return [block for block in BLOCKS if any(title.startswith(section) for title in block.sections)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, compiled_once: Path) -> Path:
    """Install as the page says, in a home of our own; return it. LLVM, which takes most of each start, works once."""
    del compiled_once
    require_bcc()
    if missing := missing_requirements():
        lack("; ".join(missing))
    home = tmp_path_factory.mktemp("home")
    (home / "apt.conf").write_text('DPkg::Lock::Timeout "120";\n')
    (install,) = pick("1. Install")
    environment = {**os.environ, "HOME": str(home), "APT_CONFIG": str(home / "apt.conf")}
    subprocess.run(["bash", "-euc", install.commands], cwd=ROOT, env=environment, check=True, timeout=600)
    return home


@pytest.fixture
def machines(home: Path, tmp_path: Path) -> Iterator[Machines]:
    """Hold what the page starts, until the test ends."""
    programs = {"jaeger": find_jaeger(), "otelcol": find_collector()}
    for name, program in programs.items():
        if program is None:
            lack(f"{name} is not built (make peers)")
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "zipkin.jar").symlink_to(find_zipkin())
    path = [str(home / "hopspan" / "bin"), *(str(program.parent) for program in programs.values() if program)]
    environment = {"PATH": ":".join([*path, os.environ["PATH"]]), "PLUGIN": str(MANAGEMENT_GATEWAY)}
    with two_nodes_vxlan(), ExitStack() as running:
        yield Machines(tmp_path, environment, running)


@pytest.mark.parametrize("way", list(WAYS))
def test_page_leads_to_hops(way: str, machines: Machines, peers: Peers) -> None:
    """Whoever follows it sees a trace with all its hops in the backend, and that both programs are well."""
    with followed_page(way, machines, peers):
        health, network_spans = [block for block in pick("5. Look") if "from" not in block.place]
        assert all('"status":"ok"' in printed for printed in machines.run(health))
        assert "hopspan_plugin_network_spans_total{" in machines.run(network_spans)[0]


def test_commands_beside_and_on_other_pages(machines: Machines, peers: Peers) -> None:
    """Beside what the first page has started each succeeds. `top` has hops while applications talk.

    No program calls a helper that changes a packet.
    """
    helpers: set[str] = set()
    points, hops = pick("2. See")
    client = [sys.executable, "-m", "testbed.client", "100000"]
    with followed_page("Before Zipkin", machines, peers):
        assert all("veth-ingress" in printed for printed in machines.run(points))
        with run_in(None, client, log_path=machines.directory / "client.log"):
            assert all("host-forward" in printed for printed in machines.run(hops))
        for page in OTHER_PAGES:
            blocks = read_blocks((ROOT / "docs" / page).read_text())
            assert blocks
            for block in blocks:
                printed = "".join(machines.run(block))
                helpers |= set(re.findall(r"^ *\d+ call (\w+)#$", printed, re.MULTILINE))
    assert "bpf_ktime_get_ns" in helpers
    assert not {name for name in helpers if re.search(WRITING, name)}


@contextmanager
def followed_page(way: str, machines: Machines, peers: Peers) -> Iterator[None]:
    """Set up and start all as the page says, and hold it once a request's trace has its hops in the backend."""
    look = [block for block in pick("5. Look") if block.place == WAYS[way]]
    if way == "Beside a Collector":
        api = start_jaeger(peers)
        machines.environment["BACKEND"] = api.otlp
        look = [add_url(block, f"http://{api.place}") for block in look]
    for block in (*pick(way), *pick("4. Start")):
        machines.run(block)
    trace_id = secrets.token_hex(16)
    machines.environment["TRACE_ID"] = trace_id
    spans_go_to = f"{MANAGEMENT_GATEWAY}:{MESH_PORT.get(way, PLUGIN_PORT)}"
    with started_mesh(machines.directory / "mesh", spans_go_to):
        send_requests(1, CHECKOUT_URL, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})
        wait_until(lambda: has_hops(machines, look), f"{trace_id} has no hops", ARRIVAL_TIMEOUT_S)
        yield


def add_url(block: Block, url: str) -> Block:
    """Return the block for a backend that is not where it usually is."""
    return Block(block.sections, block.place, block.ready, f"{block.commands.rstrip()} --url {url}")


def has_hops(machines: Machines, look: list[Block]) -> bool:
    """Tell whether the trace is drawn with all hops of both its calls."""
    (block,) = look
    try:
        return "20 hops" in machines.run(block)[0]
    except AssertionError:
        return False
