"""What the tests share of a compilation is what the compiler would have made."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from node_probe.programs import CALLED, MAPS, PROGRAMS, SWEEP
from testbed.kernel_facts import read_program_facts
from tests.compiled.loaded import loaded_programs
from tests.compiled.sharing import SHARED, compiled_once
from tests.requirements import require_bcc, require_root

pytestmark = pytest.mark.bpf


def describe(fds: Mapping[str, int]) -> dict[str, object]:
    """Return how many instructions of each program the kernel verified, and as what it knows each map."""
    told: dict[str, object] = {
        name: read_program_facts(fds[name])["verified_insns"] for name in (*PROGRAMS, *CALLED, SWEEP)
    }
    for name in MAPS:
        text = Path(f"/proc/self/fdinfo/{fds[name]}").read_text()
        told[name] = re.findall(
            r"^(map_type|key_size|value_size|max_entries|map_flags):\s*(\w+)$", text, re.MULTILINE
        )
    return told


def load_and_describe() -> dict[str, object]:
    with loaded_programs() as fds:
        return describe(fds)


def test_programs_that_were_compiled_before_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start finds what the first has left, and the kernel sees no difference."""
    require_root()
    require_bcc()
    monkeypatch.delenv(SHARED, raising=False)
    monkeypatch.delenv("PYTHONPATH")
    with compiled_once() as folder:
        compiled = load_and_describe()
        (kept,) = folder.glob("*.compiled")
        at_first = kept.stat().st_mtime_ns
        assert load_and_describe() == compiled
        assert [path.stat().st_mtime_ns for path in folder.glob("*.compiled")] == [at_first]
