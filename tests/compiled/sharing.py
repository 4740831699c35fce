"""Lets the processes that tests start share what LLVM has compiled, by laying remembering_bcc.py before bcc."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED = "HOPSPAN_COMPILED"
"""The folder of whoever shares already; a guest is given that of its host, whose files it sees."""

_PATH = "PYTHONPATH"


@contextmanager
def compiled_once() -> Iterator[Path]:
    """Let whatever starts meanwhile compile the same programs once, and yield the folder where they are kept."""
    with tempfile.TemporaryDirectory(prefix="hstest-compiled-") as made:
        folder = Path(os.environ.get(SHARED, made))
        if SHARED not in os.environ:
            folder.chmod(0o755)  # probes that run as nobody look into it
            shutil.copy(Path(__file__).parent / "remembering_bcc.py", folder / "bcc.py")
        before = os.environ.get(_PATH)
        os.environ[_PATH] = f"{folder}:{before}" if before else str(folder)
        try:
            yield folder
        finally:
            del os.environ[_PATH]
            if before:
                os.environ[_PATH] = before


def find_modules_in(tree: Path) -> dict[str, str]:
    """Return the environment by which Python finds a checkout's modules, and what is shared before others."""
    return {_PATH: ":".join(filter(None, (str(tree), os.environ.get(_PATH))))}
