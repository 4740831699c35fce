"""What loads on the newest kernel says nothing about others: the kernel tests again, on Debian's 6.1 and 6.12.

6.1 has neither tcx nor today's verifier. The guests are emulated, so everything takes some ten times as long.
"""

import sys
from pathlib import Path

import pytest

from tests.kernel.test_verifier import LINE
from tests.kernels.guests import Guest, require_guests, run_guests

TIMEOUT_S = 2400
TEST_TIMEOUT_S = 900
"""Of one test in a guest: to compile the programs takes a minute there, and some do so again and again."""

SAME_ON_ALL = (
    *("test_agent.py", "test_discovery.py", "test_discovery_ipv6.py", "test_follow.py", "test_format_choices.py"),
    *("test_hop_metrics.py", "test_mutated_packets.py", "test_points.py", "test_top.py"),
)
"""Not run there: they ask nothing of the kernel that others do not, and would take an hour in emulation."""


SLOW = ("test_formats.py", "test_search_oracle.py", "test_uppers.py")
"""Each compiles the programs again, or takes minutes; run by hand on both kernels when the programs change."""

LEFT_OUT = {"6.1": (*SAME_ON_ALL, *SLOW), "6.12": (*SAME_ON_ALL, *SLOW, "test_kill.py", "test_tables.py")}
"""6.12 has tcx, as the running kernel, so what is left behind after a kill is asked of 6.1."""


def make_command(release: str) -> list[str]:
    """Return what runs the kernel tests in the guest of the release."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "--timeout", str(TEST_TIMEOUT_S), "tests/kernel"]
    return command + [f"--ignore=tests/kernel/{name}" for name in LEFT_OUT[release]]


@pytest.mark.kernels
@pytest.mark.timeout(2 * TIMEOUT_S)
@pytest.mark.parametrize("release", list(LEFT_OUT))
def test_kernel_tests_pass_on(release: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every program loads, attaches, cleans up after itself, and passes the packet tables."""
    require_guests()
    (console,) = run_guests([Guest(release, make_command(release), "none")], tmp_path, TIMEOUT_S)
    assert " passed" in console
    assert "skipped" not in console, console[-2000:]
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{line}" for line in console.splitlines() if line.startswith(LINE)) + "\n")
