"""Wheel and sdist: each holds what it needs, and installs with pip into a virtual environment of its own."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.house.repository import ROOT

PIP = ("-m", "pip", "--disable-pip-version-check", "-q")
COMMANDS = ("node-probe", "collector-plugin", "hopspan")
PACKAGES = ("bpf", "collector_plugin", "hopspan", "node_probe", "traceview")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack the sources."""
    directory = tmp_path_factory.mktemp("sdist")
    run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(directory)], cwd=ROOT)
    (path,) = directory.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the sdist, as those do who repackage it."""
    directory = tmp_path_factory.mktemp("wheel")
    run([sys.executable, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(directory), str(sdist)])
    (path,) = directory.iterdir()
    return path


def run(command: list[str], cwd: Path | None = None) -> str:
    """Run a command, which must succeed, and return what it printed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def list_tracked(*places: str) -> set[str]:
    """Return the files below these places that are under version control, or are about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *places]
    return {name for name in run(command, cwd=ROOT).splitlines() if (ROOT / name).exists()}


def test_sdist_has_all_sources(sdist: Path) -> None:
    """Everything that is under version control, and nothing else but its own description."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert list_tracked() - names == set()
    assert names - list_tracked() == {"PKG-INFO"}


def test_wheel_has_the_packages_whole(wheel: Path) -> None:
    """Programs for the kernel and the page's parts too, and no tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    packed = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    assert packed == list_tracked(*PACKAGES)


def test_wheel_installs_and_runs(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own the commands start; the probe finds its programs in the package."""
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / "bin" / "python"
    (packages,) = (tmp_path / "lib").glob("python3*/site-packages")
    # What hopspan depends on is here already: only its own package is installed anew.
    run([sys.executable, *PIP, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)])
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    for command in COMMANDS:
        assert f"usage: {command}" in run([str(tmp_path / "bin" / command), "--help"], cwd=tmp_path)
    place = run([str(python), "-c", "import node_probe.compiler as c; print(c.__file__)"], cwd=tmp_path)
    assert place.startswith(str(packages))
    assert (packages / "bpf" / "points.c").exists()


def test_metadata_names_what_a_user_looks_for(wheel: Path) -> None:
    """Licence, Python's version and README are told; bcc is no dependency, since PyPI has another of that name."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    head, _, body = archive.read(name).decode().partition("\n\n")
    lines = head.splitlines()
    assert "License-Expression: Apache-2.0" in lines
    assert any(line.startswith("Requires-Python: >=3.11") for line in lines)
    assert not any(line.startswith("Requires-Dist: bcc") for line in lines)
    assert body.startswith("# hopspan")
