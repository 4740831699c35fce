"""The version."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from hopspan import version

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_version_is_that_of_the_project() -> None:
    """What is installed says the version of pyproject.toml."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    assert project["version"] == version.VERSION


def test_tree_without_installation_has_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that was never installed still starts."""

    def find_nothing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", find_nothing)
    assert version.read_version() == "0.0.0+unknown"
