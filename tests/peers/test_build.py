"""The scripts that build the peers: once, whole or not at all, and one line about what went wrong.

Go is a stand-in here, which writes what Go would build and notes how it was called; `make peers` runs the real one.
"""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.house.repository import ROOT

PEERS = ROOT / "tests" / "peers"
LAST_STEP = {
    "collector": "/made/otelcol .",
    "jaeger": "/examples/hotrod",
    "helm": "/v3/cmd/helm",
    "promtool": "/cmd/promtool",
    "kubernetes": "/meta/portmap",
    "coredns": "/made/coredns .",
}
"""How the last call of Go ends that a peer's script makes."""

GO = """#!/bin/bash
echo "$*" >>"$CALLS"
cp go.sum "$CALLS.sum" 2>/dev/null
case "$1 $2" in
  "env GOVERSION") echo "$FOUND" ;;
  "build -o") printf '#!/bin/bash\\nmkdir source\\n' >"$3"; chmod +x "$3" ;;
  *) [[ -z $FAULT ]] || { echo "$FAULT" >&2; exit 1; }
     while [[ $1 != -o ]]; do shift; done
     printf '#!/bin/bash\\necho a peer\\n' >"$2"; chmod +x "$2" ;;
esac
"""


class Bench:
    """A script, with a cache and a Go of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.script = PEERS / f"build_{name}.sh"
        self.calls = directory / "calls"
        self.peers = directory / "cache" / "hopspan" / "peers"
        (directory / "go").write_text(GO)
        (directory / "go").chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{directory}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(directory / "cache"),
            "CALLS": str(self.calls),
        }

    def build(self, *, found: str = "go1.25.3", fault: str = "") -> "subprocess.CompletedProcess[str]":
        environment = self._environment | {"FOUND": found, "FAULT": fault}
        return subprocess.run([self.script], env=environment, capture_output=True, text=True, check=False)

    def count_builds(self) -> int:
        return self.calls.read_text().count(LAST_STEP[self.name])

    def list_peers(self) -> set[str]:
        return {path.name for path in self.peers.iterdir()}


@pytest.fixture(params=LAST_STEP)
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    """Nothing was built yet."""
    return Bench(tmp_path, request.param)


def test_builds_once(bench: Bench) -> None:
    """The path of what was built is printed, and the next run finds it there."""
    first, second = bench.build(), bench.build()
    path = Path(first.stdout.rstrip("\n"))
    assert (first.returncode, second.returncode, second.stderr) == (0, 0, "")
    assert first.stdout == second.stdout
    assert path.parent.parent == bench.peers
    assert subprocess.check_output([path], text=True) == "a peer\n"
    assert bench.count_builds() == 1
    assert bench.list_peers() == {path.parent.name, f"{path.parent.name}.lock", f"{path.parent.name}.log"}


def test_two_at_once_build_once(bench: Bench) -> None:
    """The second waits for the first and takes what that has built."""
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: bench.build(), range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout
    assert bench.count_builds() == 1


def test_another_manifest_is_built_anew(bench: Bench) -> None:
    """What was made from something else is replaced."""
    path = Path(bench.build().stdout.rstrip("\n"))
    (path.parent / "made-from").write_text("something else\n")
    assert bench.build().returncode == 0
    assert bench.count_builds() == 2


def test_modules_are_held_to_the_sums_in_the_tree(bench: Bench) -> None:
    """Go checks what it fetches against them."""
    bench.build()
    assert Path(f"{bench.calls}.sum").read_text() == (PEERS / f"{bench.name}.sum").read_text()


def test_go_that_is_too_old_is_told(bench: Bench) -> None:
    """Nothing is fetched; the line names what was found and what is needed."""
    done = bench.build(found="go1.19.8")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{bench.script.name}: needs Go 1.25.0 or newer")
    assert "go1.19.8" in line


def test_build_that_fails_leaves_nothing(bench: Bench) -> None:
    """The last line names the log and repeats its reason; no half of a peer stays, and the next run builds."""
    done = bench.build(fault="no such module")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].endswith(".log: no such module")
    assert {Path(name).suffix for name in bench.list_peers()} == {".lock", ".log"}
    assert bench.build().returncode == 0
