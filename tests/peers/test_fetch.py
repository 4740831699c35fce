"""The scripts that fetch Zipkin and build clients: whole or not at all, and one line about what is missing.

Maven is a stand-in here, which writes what Maven would fetch; `make peers` runs the real one.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.repository import ROOT

PEERS = ROOT / "tests" / "peers"
_FILES = ("cat", "cp", "diff", "find", "flock", "mkdir", "mktemp", "mv", "realpath", "rm", "sha256sum")
TOOLS = (*_FILES, "bash", "dirname", "env", "grep", "head", "nice", "sed", "sort", "tail", "xargs")

MAVEN = """#!/bin/bash
[[ -z $FAULT ]] || { echo "[INFO] scanning"; echo "[ERROR] $FAULT"; exit 1; }
for argument; do
  [[ $argument != -DoutputDirectory=* ]] || echo "another Zipkin" >"${argument#*=}/zipkin-server.jar"
done
"""
JAVA = """#!/bin/bash
echo "openjdk version \\"$JAVA_FOUND\\" 2025-04-15" >&2
"""
NODE = """#!/bin/bash
echo v18.19.0
"""


class Bench:
    """A PATH with the commands of these names alone, beside the system's own tools, and a cache."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cache = directory / "cache" / "hopspan" / "peers"
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (directory / tool).symlink_to(found)

    def add(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)
        (self.directory / name).chmod(0o755)

    def run(self, script: str, *arguments: str, **variables: str) -> str:
        """Run a script that must fail, and return the last line that it says."""
        environment = {"PATH": str(self.directory), "XDG_CACHE_HOME": str(self.directory / "cache"), "FAULT": ""}
        environment |= {"JAVA_FOUND": "17.0.15"} | variables
        done = subprocess.run(
            [PEERS / script, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr.splitlines()[-1]

    def list_left(self) -> set[str]:
        """Return what the cache has but logs and locks."""
        return {path.name for path in self.cache.iterdir() if path.suffix not in {".log", ".lock"}}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Nothing is there."""
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("fetch_zipkin.sh",), "fetch_zipkin.sh: needs Java 17 or newer, and there is no command 'java' on PATH"),
        (
            ("build_clients.sh", "java"),
            "build_clients.sh: needs Java 17 or newer, and there is no command 'java' on PATH",
        ),
        (
            ("build_clients.sh", "go"),
            "build_clients.sh: needs Go 1.26 or newer, and there is no command 'go' on PATH",
        ),
        (
            ("build_clients.sh", "js"),
            "build_clients.sh: needs Node 20 or newer, and there is no command 'node' on PATH",
        ),
        (("build_clients.sh", "cobol"), "build_clients.sh: usage: build_clients.sh go|java|js"),
    ],
)
def test_what_is_missing_is_named(bench: Bench, arguments: tuple[str, ...], line: str) -> None:
    """The line says what is needed, and nothing is left behind."""
    assert bench.run(*arguments) == line
    assert not bench.cache.exists() or bench.list_left() == set()


@pytest.mark.parametrize("found", ["1.8.0_402", "11.0.2"])
def test_java_that_is_too_old_is_told(bench: Bench, found: str) -> None:
    """Both ways in which Java numbers itself are read."""
    bench.add("java", JAVA)
    line = bench.run("fetch_zipkin.sh", JAVA_FOUND=found)
    release = "8" if found.startswith("1.8") else "11"
    assert line == f"fetch_zipkin.sh: needs Java 17 or newer, and 'java' on PATH is {release}"


def test_node_that_is_too_old_is_told(bench: Bench) -> None:
    """The line names what was found."""
    bench.add("node", NODE)
    bench.add("npm", NODE)
    line = bench.run("build_clients.sh", "js")
    assert line == "build_clients.sh: needs Node 20 or newer, and 'node' on PATH is 18.19.0"


def test_maven_is_needed_too(bench: Bench) -> None:
    """Java alone is not enough."""
    bench.add("java", JAVA)
    assert bench.run("fetch_zipkin.sh") == "fetch_zipkin.sh: needs Maven, and there is no command 'mvn' on PATH"


def test_file_with_another_checksum_is_refused(bench: Bench) -> None:
    """It is not kept, so that the next run fetches again."""
    bench.add("java", JAVA)
    bench.add("mvn", MAVEN)
    assert bench.run("fetch_zipkin.sh").endswith("as fetched has not the checksum that is known of it")
    assert bench.list_left() == set()


def test_maven_that_fails_is_quoted(bench: Bench) -> None:
    """The last line names the log and repeats Maven's first error."""
    bench.add("java", JAVA)
    bench.add("mvn", MAVEN)
    assert bench.run("fetch_zipkin.sh", FAULT="no such artifact").endswith("zipkin-3.5.1.log: no such artifact")
    assert bench.list_left() == set()
