"""Reads golden files: hex with a comment for each field, `---`, and the expected value as JSON."""

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"


def list_stories(folder: str, suffix: str = ".hex") -> list[str]:
    """Return the names of the stories in a folder of golden files."""
    return sorted(path.stem for path in (GOLDEN / folder).glob(f"*{suffix}"))


def read_story(folder: str, story: str) -> tuple[bytes, Any]:
    """Return the bytes of a story and what is expected of them."""
    text = (GOLDEN / folder / f"{story}.hex").read_text()
    dump, _, expected = text.partition("---\n")
    digits = "".join(line.partition("#")[0] for line in dump.splitlines())
    return bytes.fromhex(digits), json.loads(expected)
