"""What loads on the newest kernel says nothing about others: the kernel tests again, on Debian's 6.1 and 6.12.

6.1 has neither tcx nor today's verifier. The guests are emulated, so everything takes some ten times as long: what is
run there is what another kernel may answer otherwise. The programs are compiled here, as far as guests see them; one
guest compiles them itself, with the least rights.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from node_probe.transit import ContextFormat
from tests.house.repository import ROOT
from tests.kernel.test_format_choices import CHOICES, name_choice
from tests.kernel.test_verifier import LINE
from tests.kernels.guests import Guest, compile_here, require_guests, run_guests

TIMEOUT_S = 2400
TEST_TIMEOUT_S = 900
"""Of one test in a guest: to compile the programs takes a minute there, and several on a busy host."""

FOLDER = "tests/kernel"

ALL = CHOICES[-1]
COMPILED = [choice for choice in CHOICES if len(choice) == 1 or choice == ALL]
"""The choices of formats that are loaded there: each format alone, and all of them, which is the default."""

CASE = "test_format_choices.py::test_programs_load_for[{}]"
BY_LLVM = "test_capabilities.py::test_compiler_runs_with_least_rights[{}]"

LEFT_OUT = {
    "asks the kernel nothing that others do not": (
        *("test_agent.py", "test_compiled.py", "test_discovery.py", "test_discovery_ipv6.py", "test_follow.py"),
        *("test_hop_metrics.py", "test_points.py", "test_top.py", "test_top_http2.py"),
        *("test_http2_cuts.py", "test_http2_fields.py", "test_http2_formats.py", "test_http2_sampling.py"),
    ),
    "random packets for minutes, which find faults of the programs and not of the verifier": (
        *("test_mutated_packets.py", "test_search_oracle.py"),
        *("test_http2_answers.py", "test_http2_foreign.py", "test_http2_mutated.py", "test_http2_oracle.py"),
    ),
    "compares C with Python": ("test_layout.py",),
    "ends before anything is asked of the kernel": ("test_capabilities.py::test_missing_right_is_one_line",),
    # By SIGTERM that of test_mechanism_fits_the_kernel, by SIGKILL that of test_nobody_with_five_capabilities.
    "ends and late pods that others have, too": (
        *("test_attach.py::test_nothing_is_left_behind", "test_attach.py::test_pod_that_comes_and_goes"),
    ),
    "test_verifier.py asks the same of the programs that all others use": (CASE.format(name_choice(ALL)),),
    "fewer points, by the rights that others have among theirs": (
        "test_capabilities.py::test_nobody_with_three_capabilities",
    ),
    "test_clean.py has foreign filters of all kinds": ("test_attach.py::test_foreign_filters_stay",),
    # SYS_ADMIN stands for BPF and PERFMON in every kernel that has those two.
    "a minute of LLVM, to load with the rights that `nobody with six` keeps, too": tuple(
        BY_LLVM.format(rights) for rights in ("root", "root with five", "root with SYS_ADMIN")
    ),
    "for the verifier between each format alone and all": tuple(
        CASE.format(name_choice(choice)) for choice in CHOICES if choice not in COMPILED
    ),
}
"""What guests do not run, by the reason: files, tests, and cases of tests. The running kernel is asked all of it."""

LEFT_OUT_BY_TCX = {
    "no filter of ours by clsact, which is 6.1's and the running kernel's, too": (
        *("test_kill.py", "test_clean.py", "test_clsact.py"),
    ),
    "a minute of LLVM, to ask of bcc what it asks of 6.1 and of the running kernel, too": (
        BY_LLVM.format("nobody with six"),
    ),
    "arrays and devices that 6.1 and the running kernel have, too": ("test_tables.py", "test_uppers.py"),
}
"""What is not run on 6.12 either."""

RELEASES = {"6.1": LEFT_OUT, "6.12": LEFT_OUT | LEFT_OUT_BY_TCX}


def make_command(release: str) -> list[str]:
    """Return what runs the kernel tests in the guest of the release."""
    # The kernel tests use no hypothesis, whose import alone takes a quarter of a minute.
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:hypothesispytest", FOLDER]
    command += ["--timeout", str(TEST_TIMEOUT_S)]
    for names in RELEASES[release].values():
        for name in names:
            command.append(f"--{'deselect' if '::' in name else 'ignore'}={FOLDER}/{name}")
    return command


@pytest.mark.kernels
@pytest.mark.timeout(2 * TIMEOUT_S)
@pytest.mark.parametrize("release", list(RELEASES))
def test_kernel_tests_pass_on(
    release: str, compiled_once: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every program loads, attaches, cleans up after itself, and passes the packet tables."""
    require_guests()
    compile_here(*COMPILED, list(ContextFormat))  # the last for those that follow TLS
    guest = Guest(release, make_command(release), "none", compiled_once)
    (console,) = run_guests([guest], tmp_path, TIMEOUT_S)
    assert " passed" in console
    assert "skipped" not in console, console[-2000:]
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{line}" for line in console.splitlines() if line.startswith(LINE)) + "\n")


@pytest.mark.parametrize("release", list(RELEASES))
def test_what_is_left_out_exists(release: str) -> None:
    """A name that no test has any more would leave nothing out, and nobody would notice."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", FOLDER]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for names in RELEASES[release].values():
        for name in names:
            assert any(line.startswith(f"{FOLDER}/{name}") for line in listed), name
