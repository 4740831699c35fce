"""What the evaluation's tests have in common: their probes share what is compiled."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(compiled_once: Path) -> None:
    """Each question starts probes by the dozen, and LLVM takes most of their start."""
