"""The rules of the house that no other tool checks: sizes, contracts, versions, and what the tree may not name."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest

from tests.house.repository import ROOT, tracked_files

MAX_LINES = 250
LONGER = {
    "bpf/hopspan.c": "BCC rewrites map access in the main file alone",
}
"""Files over the limit, each with the reason why it is not split."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", tracked_files("*.py", "*.c", "*.h", "*.sh"), ids=relative)
def test_file_is_short(path: Path) -> None:
    """A file holds one idea: at most 250 lines, or a stated reason."""
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES or relative(path) in LONGER


@pytest.mark.parametrize("path", [p for p in tracked_files("*.py") if p.stat().st_size], ids=relative)
def test_module_opens_with_its_contract(path: Path) -> None:
    """The first thing in a module says what it is for."""
    text = path.read_text()
    assert text.startswith('"""')


def test_plugin_contract_lists_every_module() -> None:
    """A new module of the probe is forbidden to the plugin unless it is a codec, the value or the hops' names."""
    allowed = {"transit", "hop_names", "wire_record", "wire_batch", "__init__"}
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    listed = contracts["importlinter:contract:plugin-probe"]["forbidden_modules"].split()
    modules = {path.stem for path in (ROOT / "node_probe").glob("*.py")}
    assert sorted(listed) == sorted(f"node_probe.{module}" for module in modules - allowed)


def test_changelog_has_the_version() -> None:
    """The version of the package is the newest one in the changelog."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version


def test_pinned_versions_are_exact() -> None:
    """Whatever make installs from PyPI has one version, so that two machines get the same."""
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==\S+", line), line


def test_tree_names_no_machine() -> None:
    """No path of a developer's machine, and no registry, stands in the tree."""
    forbidden = re.compile(rf"{'/wo'}rk/|{'/ro'}ot/|{'pypi'}\.org|{'/sha'}red/|{'deb'}ian\.org/")
    for path in tracked_files():
        if path.suffix in {".png", ".svg"}:
            continue
        found = forbidden.search(path.read_text(errors="replace"))
        assert not found, f"{relative(path)}: {found}"
