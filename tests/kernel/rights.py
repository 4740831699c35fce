"""Runs a command with exactly the rights named, and reads which ones a probe has kept."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from node_probe.capabilities import Capability, choose_kept
from tests.house.repository import ROOT
from tests.kernel.made_node import Probe
from tests.requirements import lack

NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")


def name_set(capabilities: Iterable[Capability]) -> str:
    return ",".join(["-all", *(f"+{c.name.lower()}" for c in sorted(capabilities))])


def as_root_with(capabilities: Iterable[Capability]) -> list[str]:
    """Return the command that runs another as root with nothing else."""
    return ["setpriv", f"--bounding-set={name_set(capabilities)}", "--inh-caps=-all"]


def as_nobody_with(capabilities: Iterable[Capability]) -> list[str]:
    """Return the command that runs another as an ordinary user with nothing else."""
    names = name_set(capabilities)
    return ["setpriv", *NOBODY, f"--bounding-set={names}", f"--inh-caps={names}", f"--ambient-caps={names}"]


def require_readable_tree() -> None:
    """Need a checkout that other users may read."""
    command = ["setpriv", *NOBODY, sys.executable, "-c", "import node_probe, msgspec"]
    if subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode != 0:
        lack(f"{ROOT} cannot be read by other users")


def expect_reduced(probe: Probe, *, pod: bool) -> None:
    """Require that all threads have what later points need, and nothing else."""
    tcx = probe.mechanism == "tcx"
    kept = choose_kept(pod=pod, tcx=tcx)
    found = probe.capabilities()
    assert found["CapEff"] == found["CapPrm"] == kept
    assert found["CapInh"] == found["CapAmb"] == (set() if tcx else kept)
    assert "NoNewPrivs:\t1\n" in Path(f"/proc/{probe.process.pid}/status").read_text()
