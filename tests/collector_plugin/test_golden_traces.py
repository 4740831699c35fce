"""Whole stories: each folder of golden/traces tells in files what arrives, and what must come out and when."""

import json
import os
from pathlib import Path

import pytest

from tests.collector_plugin.golden_story import dump_readably, run_story

STORIES = Path(__file__).parents[1] / "golden" / "traces"
REWRITE = "HOPSPAN_REWRITE_GOLDEN"


@pytest.mark.parametrize("name", sorted(folder.name for folder in STORIES.iterdir() if folder.is_dir()))
def test_story_ends_as_told(name: str) -> None:
    """What comes out is what the story says: spans, times and counts. Rewriting a story always fails."""
    got = run_story(STORIES / name)
    path = STORIES / name / "expected.json"
    if os.environ.get(REWRITE) == "1":
        path.write_text(dump_readably(got) + "\n", encoding="utf-8")
        pytest.fail(f"{path} was rewritten: check it by hand against the design, and run again without {REWRITE}")
    expected = json.loads(path.read_text(encoding="utf-8"))
    assert got["counts"] == expected["counts"]
    assert got["out"] == expected["out"]
