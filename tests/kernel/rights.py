"""Runs a command with exactly the rights named, and reads which ones a probe has kept."""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from node_probe.capabilities import Capability, choose_kept
from tests.house.repository import ROOT
from tests.kernel.made_node import Probe

_PARTS = (".venv", "bpf", "hopspan", "node_probe")
"""Of the checkout: what a running probe reads."""

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


@contextmanager
def readable_tree() -> Iterator[Path]:
    """Hold a view of the program that every user may read, wherever the checkout lies: its parts, bound elsewhere."""
    with tempfile.TemporaryDirectory(prefix="hstest-tree-") as name, ExitStack() as mounts:
        tree = Path(name)
        tree.chmod(0o755)
        for part in _PARTS:
            (tree / part).mkdir()
            subprocess.run(["mount", "--bind", str(ROOT / part), str(tree / part)], check=True)
            mounts.callback(subprocess.run, ["umount", "--lazy", str(tree / part)], check=True)
        yield tree


def expect_reduced(probe: Probe, *, pod: bool) -> None:
    """Require that all threads have what later points need, and nothing else."""
    tcx = probe.mechanism == "tcx"
    kept = choose_kept(pod=pod, tcx=tcx)
    found = probe.capabilities()
    assert found["CapEff"] == found["CapPrm"] == kept
    assert found["CapInh"] == found["CapAmb"] == (set() if tcx else kept)
    assert "NoNewPrivs:\t1\n" in Path(f"/proc/{probe.process.pid}/status").read_text()
