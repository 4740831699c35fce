"""Sends requests between two sidecars with mutual TLS, captured and with keys logged; compares hops and capture."""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from testbed.load import missing_commands
from testbed.mesh import started_mesh
from testbed.mutual_tls import make_mutual_tls
from testbed.process import run_in
from testbed.repository import ROOT
from testbed.topology import (
    CART_SERVICE,
    FRONTEND,
    MANAGEMENT_GATEWAY,
    PLUGIN_ENDPOINT,
    POD_DEVICE,
    SIDECAR_OUTBOUND_PORT,
)
from tests.requirements import lack
from tests.soak import SOAK
from tests.testbed.encrypted_truth import Outcome, compare
from tests.testbed.otlp_peer import OtlpPeer, read_group
from tests.testbed.programs_under_test import running_probes, start_plugin, stop_and_count
from tests.testbed.tls_truth import list_origins, read_conversations

READY_TIMEOUT_S = 30.0
QUIET_S = 8.0
"""So long nothing has to come until what is missing is taken for lost: longer than claims are tried again."""
QUIET_TIMEOUT_S = 600.0
GRACE_S = 60.0

Case = TypeVar("Case")


VERSIONS = ("TLSv1_3", "TLSv1_2")


def spread_versions(cases: Iterable[Case]) -> list[tuple[Case, str]]:
    """Return the cases, each with one version of TLS, by turns; in a soak each with both."""
    if SOAK in os.environ:
        return list(itertools.product(cases, VERSIONS))
    return list(zip(cases, itertools.cycle(VERSIONS), strict=False))


@dataclass(frozen=True)
class Load:
    """What wrk does: so many connections, each of which rests so long after an answer."""

    connections: int
    pause_ms: int
    seconds: int
    sampled_percent: int = 100


def run_encrypted(
    work_dir: Path,
    drive: Callable[[], None],
    *,
    http2: bool = False,
    version: str | None = None,
    answering: bool = True,
) -> Outcome:
    """Hold mesh, probes and plugin, let `drive` send requests, and compare. The network has to stand.

    With `answering` the called sidecar answers at once, without its application.
    """
    if missing := [line for line in missing_commands() if line.startswith(("wrk", "tcpdump"))]:
        lack("; ".join(missing))
    tls = make_mutual_tls(work_dir / "tls", version)
    outcome = Outcome()
    capture = work_dir / "frontend.pcap"
    with OtlpPeer(f"{MANAGEMENT_GATEWAY}:0") as sink:
        with (
            start_plugin(work_dir, sink.endpoint, settle="3s", flows={"enabled": True}) as plugin,
            running_probes(work_dir, limited=False, contexts=("flow",)) as probes,
            started_mesh(work_dir, PLUGIN_ENDPOINT, tls, http2=http2, answering=answering),
            capturing(work_dir, capture),
        ):
            drive()
            sink.wait_until_quiet(QUIET_S, QUIET_TIMEOUT_S)
            outcome.probe, outcome.far_probe = (stop_and_count(probe) for probe in probes.values())
            outcome.plugin = stop_and_count(plugin)
        spans = [span for group in sink.groups for span in read_group(group)]
    conversations = read_conversations(capture.read_bytes(), [CART_SERVICE.port])
    key_log = tls[FRONTEND.service].key_log.read_text()
    compare(spans, list_origins(conversations, key_log), outcome)
    return outcome


def drive_wrk(work_dir: Path, load: Load, *, seed: int = 1) -> None:
    """Let wrk ask the frontend's sidecar for the cart. Every request is traced."""
    command = ["wrk", f"-t{min(2, load.connections)}", f"-c{load.connections}", f"-d{load.seconds}s", "-s"]
    command += [str(ROOT / "testbed" / "traced.lua"), f"http://127.0.0.1:{SIDECAR_OUTBOUND_PORT}/"]
    command += ["--", str(load.sampled_percent), str(load.pause_ms), str(seed), "560"]
    wrk = run_in(FRONTEND.namespace, command, log_path=work_dir / "wrk.log")
    assert wrk.wait_or_kill(load.seconds + GRACE_S) == 0, wrk.read_log()
    text = wrk.read_log()
    assert "Non-2xx" not in text, text
    assert "Socket errors" not in text, text


@contextmanager
def capturing(work_dir: Path, path: Path, server: str = str(CART_SERVICE.cluster_address)) -> Iterator[None]:
    """Hold tcpdump on the frontend pod's device; it must miss nothing."""
    command = ["tcpdump", "-n", "-Z", "root", "-i", POD_DEVICE, "-w", str(path), "-B", "131072", "-U"]
    command += ["--time-stamp-precision=nano", "host", server]
    with run_in(FRONTEND.namespace, command, log_path=work_dir / "tcpdump.log") as tcpdump:
        tcpdump.wait_for_output("listening on", READY_TIMEOUT_S)
        yield
        tcpdump.stop(READY_TIMEOUT_S)
        text = tcpdump.read_log()
        assert "\n0 packets dropped by kernel" in text, text
        counts = re.findall(r"^(\d+) packets (?:captured|received)", text, re.MULTILINE)
        assert len(counts) == 2, text
        assert counts[0] == counts[1], text  # else it was stopped before it had read all
