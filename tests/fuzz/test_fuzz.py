"""A short run of each fuzzer; `make fuzz` runs them for hours."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.house.repository import ROOT
from tests.requirements import lack

RUNS = 3_000
TIMEOUT_S = 240


@pytest.mark.parametrize("name", list(TARGETS))
def test_nothing_but_lawful_answers(tmp_path: Path, name: str) -> None:
    """No input makes the parser raise what it should not, or find what the peer's library does not."""
    if importlib.util.find_spec("atheris") is None:
        lack("atheris is missing (it has no build for this Python or machine)")
    # A seed of its own makes a failure come again; no time is asked for, so a slow machine finds the same.
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(tmp_path / "corpus"), f"-runs={RUNS}", "-seed=1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr, done.stderr[-2000:]


@pytest.mark.parametrize("name", list(TARGETS))
def test_samples_are_lawful(name: str) -> None:
    """A fuzzer that begins with refused input would look at nothing behind the first check."""
    for sample in TARGETS[name].samples:
        TARGETS[name].run(sample)
