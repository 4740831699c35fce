"""What loads on the newest kernel says nothing about others: the kernel tests again, on Debian's 6.1 and 6.12.

6.1 has neither tcx nor today's verifier. The guests are emulated, so everything takes some ten times as long.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.repository import ROOT
from tests.kernel.test_verifier import LINE
from tests.requirements import lack, require_bcc, require_root

GUEST = ROOT / "tests" / "kernels" / "guest.sh"
TOOLS = ("qemu-system-x86_64", "/bin/busybox", "cpio", "xz", "depmod", "apt-get", "dpkg-deb")
NO_GUEST = 125
TIMEOUT_S = 2400

SAME_ON_ALL = (
    *("test_agent.py", "test_discovery.py", "test_discovery_ipv6.py", "test_follow.py", "test_format_choices.py"),
    *("test_hop_metrics.py", "test_mutated_packets.py", "test_points.py", "test_top.py"),
)
"""Not run there: they ask nothing of the kernel that others do not, and would take an hour in emulation."""


SLOW = ("test_formats.py", "test_search_oracle.py", "test_uppers.py")
"""Each compiles the programs again, or takes minutes; run by hand on both kernels when the programs change."""

LEFT_OUT = {"6.1": (*SAME_ON_ALL, *SLOW), "6.12": (*SAME_ON_ALL, *SLOW, "test_kill.py", "test_tables.py")}
"""6.12 has tcx, as the running kernel, so what is left behind after a kill is asked of 6.1."""


@pytest.mark.kernels
@pytest.mark.timeout(2 * TIMEOUT_S)
@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_kernel_tests_pass_on(release: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every program loads, attaches, cleans up after itself, and passes the packet tables."""
    require_root()
    require_bcc()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        lack(f"{', '.join(missing)} missing for the guests")
    if not Path("/etc/debian_version").exists():
        lack("the guests' kernels are Debian's")
    command = [str(GUEST), release, sys.executable, "-m", "pytest", "-q", "-rs", "tests/kernel"]
    command += [f"--ignore=tests/kernel/{name}" for name in LEFT_OUT[release]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode == NO_GUEST:
        lack(f"no guest with kernel {release} came up: {done.stderr[-500:]}")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout, done.stdout[-2000:]
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{line}" for line in done.stdout.splitlines() if line.startswith(LINE)) + "\n")
