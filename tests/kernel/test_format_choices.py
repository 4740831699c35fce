"""Whatever formats are chosen, the programs load: each choice makes another program for the verifier."""

import itertools

import pytest

from node_probe.programs import CALLED, CALLED_FOR_FLOWS, PROGRAMS
from node_probe.transit import HEADER_FORMATS, ContextFormat
from testbed.kernel_facts import read_program_facts
from tests.compiled.loaded import loaded_programs
from tests.kernel.test_verifier import LIMIT
from tests.requirements import require_bcc, require_root

pytestmark = pytest.mark.bpf

CHOICES = [
    choice
    for number in range(1, len(HEADER_FORMATS) + 1)
    for choice in itertools.combinations(HEADER_FORMATS, number)
] + [(ContextFormat.FLOW,), tuple(ContextFormat)]
"""Every choice of headers, and flows alone and with all: their program is one of its own."""


def name_choice(choice: tuple[ContextFormat, ...]) -> str:
    """Return what the test of the choice is called."""
    return "+".join(each.name.lower() for each in choice)


@pytest.mark.parametrize("choice", CHOICES, ids=name_choice)
def test_programs_load_for(choice: tuple[ContextFormat, ...]) -> None:
    """No choice takes more than half of what the verifier allows."""
    require_root()
    require_bcc()
    with loaded_programs(choice) as fds:
        called = (*CALLED, CALLED_FOR_FLOWS) if ContextFormat.FLOW in choice else CALLED
        verified = [read_program_facts(fds[name])["verified_insns"] for name in (*PROGRAMS, *called)]
    assert all(0 < number < LIMIT // 2 for number in verified)
