"""The load: wrk in the frontend pod, nginx in the cart pod, and between them nothing but the overlay.

Edge: starts processes in the testbed. Two threads and two workers, so that both cores have something to do.
"""

import itertools
import os
import re
import resource
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError
from testbed.kernel_facts import read_cpu_ns, read_cpu_ticks
from testbed.process import ManagedProcess, run_in
from testbed.topology import CART, FRONTEND

PORT = 8000
CONTEXT_AT_BYTE = 560
"""Where the field `traceparent` begins in the header block: where Envoy's own headers push it."""

_THREADS = 2
_READY_TIMEOUT_S = 20.0
_GRACE_S = 20.0
_SCRIPT = Path(__file__).with_name("traced.lua")
_PACKAGES = {"wrk": "wrk", "nginx": "nginx", "tcpdump": "tcpdump"}
_UNPACKED = Path(__file__).parent.parent / "build" / "tools" / "usr" / "sbin"
"""Where `make` unpacks nginx: installed, the package would start a server of the machine's own."""

_seeds = itertools.count(1)

_NGINX = """\
daemon off; worker_processes 2; pid {directory}/nginx.pid; user root; error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{ listen {address}:{port} reuseport; location / {{ return 200 "in the cart\\n"; }} }}
}}
"""


@dataclass(frozen=True)
class Rhythm:
    """How requests come: so many connections, each of which rests after an answer."""

    connections: int
    pause_ms: int = 0


SATURATING = Rhythm(32)


@dataclass(frozen=True)
class Load:
    """What one run of wrk reached."""

    requests: int
    seconds: float
    idle_percent: float
    """Of all CPUs, in that time."""
    cpu_ns: int
    """CPU time of wrk and of the processes that were named to `run_load`."""
    latency_us: dict[float, int]
    """By percent of the requests that took no longer: 50, 90, 99, 99.9. An answer that took longer than the mean time
    between a connection's requests counts for those that it kept back too (wrk corrects coordinated omission)."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """Return the CPU time of an exchange."""
        return self.cpu_ns / 1e3 / self.requests


def missing_commands() -> list[str]:
    """Return what the bench needs and this machine lacks, a line each."""
    return [
        f"{name}: no such command (package {package})"
        for name, package in _PACKAGES.items()
        if find_command(name) is None
    ]


def find_command(name: str) -> str | None:
    """Return the path of a command, wherever it is installed or unpacked."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:{_UNPACKED}")


@contextmanager
def running_server(work_dir: Path) -> Iterator[ManagedProcess]:
    """Hold nginx in the cart pod; it answers on return."""
    config = work_dir / "nginx.conf"
    config.write_text(_NGINX.format(directory=work_dir, address=CART.address, port=PORT))
    command = [find_command("nginx") or "nginx", "-e", "stderr", "-p", str(work_dir), "-c", str(config)]
    with run_in(CART.namespace, command, log_path=work_dir / "nginx.log") as server:
        server.wait_until((work_dir / "nginx.pid").exists, "did not start", _READY_TIMEOUT_S)
        yield server


def run_load(
    work_dir: Path,
    seconds: int,
    percent: int,
    rhythm: Rhythm = SATURATING,
    *,
    pids: Sequence[int] = (),
) -> Load:
    """Run wrk for some seconds with `percent` of the requests sampled. Raises TestbedError if a request failed.

    The CPU time of the processes `pids` is added to wrk's own.
    """
    arguments = [str(percent), str(rhythm.pause_ms), str(next(_seeds)), str(CONTEXT_AT_BYTE)]
    command = [
        "wrk",
        f"-t{min(_THREADS, rhythm.connections)}",
        f"-c{rhythm.connections}",
        f"-d{seconds}s",
        "-s",
        str(_SCRIPT),
    ]
    command += [f"http://{CART.address}:{PORT}/", "--", *arguments]
    cpu_ns = _read_children_cpu_ns() + sum(map(read_cpu_ns, pids))
    idle, total = read_cpu_ticks()
    wrk = run_in(FRONTEND.namespace, command, log_path=work_dir / "wrk.log")
    code = wrk.wait_or_kill(seconds + _GRACE_S)
    idle_after, total_after = read_cpu_ticks()
    cpu_ns = _read_children_cpu_ns() + sum(map(read_cpu_ns, pids)) - cpu_ns
    text = wrk.read_log()
    found = re.search(r"(\d+) requests in ([\d.]+)s", text)
    if code or not found or "Non-2xx" in text or "Socket errors" in text:
        raise TestbedError(f"wrk failed with {code}:\n{text}")
    idle_percent = 100 * (idle_after - idle) / max(1, total_after - total)
    latencies = re.findall(r"^latency ([\d.]+) (\d+) us$", text, re.MULTILINE)
    latency_us = {float(share): int(us) for share, us in latencies}
    return Load(int(found[1]), float(found[2]), idle_percent, cpu_ns, latency_us)


def _read_children_cpu_ns() -> int:
    """Return the CPU time of all children that have ended; between two calls that is wrk alone."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round((usage.ru_utime + usage.ru_stime) * 1e9)
