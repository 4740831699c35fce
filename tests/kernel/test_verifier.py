"""How much of the verifier's patience each program takes, on whatever kernel this runs."""

import os
import sys
from collections.abc import Mapping

import pytest

from node_probe.programs import CALLED, PROGRAMS, SWEEP
from testbed.kernel_facts import read_program_facts

pytestmark = pytest.mark.bpf

LIMIT = 1_000_000
"""BPF_COMPLEXITY_LIMIT_INSNS of the kernel."""

LINE = "verified instructions on"
"""How the line begins that is printed for each kernel."""


def test_programs_take_less_than_half_of_the_limit(
    program_fds: Mapping[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Another compiler or verifier may need more; half of the limit is the room for that."""
    verified = {name: read_program_facts(program_fds[name])["verified_insns"] for name in (*PROGRAMS, *CALLED, SWEEP)}
    with capsys.disabled():
        numbers = ", ".join(f"{name} {number}" for name, number in verified.items())
        sys.stdout.write(f"\n{LINE} {os.uname().release}: {numbers}\n")
    assert all(0 < number < LIMIT // 2 for number in verified.values())
