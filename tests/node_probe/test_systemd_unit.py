"""The systemd unit that is shipped: systemd takes it without a word, and its rights are those in the code."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node_probe.capabilities import HOST_POINTS, POD_POINTS
from node_probe.config import Limits
from tests.house.repository import ROOT

UNIT = ROOT / "otel-config" / "systemd" / "node-probe.service"
PROGRAM = "/opt/hopspan/bin/node-probe"


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    """Return the section [Service]."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are written
    unit.read(UNIT)
    return unit["Service"]


@pytest.mark.parametrize("key", ["AmbientCapabilities", "CapabilityBoundingSet"])
def test_rights_are_those_of_the_code(service: configparser.SectionProxy, key: str) -> None:
    """The service gets exactly what the code asks for."""
    assert sorted(service[key].split()) == sorted(c.label for c in HOST_POINTS | POD_POINTS)


def test_watchdog_and_readiness(service: configparser.SectionProxy) -> None:
    """It says itself when it is ready and that it lives, and comes back when it dies, unless the file is wrong."""
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 10
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"


def test_commands_exist(service: configparser.SectionProxy) -> None:
    """What the unit runs is what the command line has."""
    assert service["ExecStart"] == f"{PROGRAM} --config /etc/hopspan/node-probe.yaml"
    assert service["ExecStopPost"] == f"{PROGRAM} clean"


def test_memory_leaves_room_for_the_agent(service: configparser.SectionProxy) -> None:
    """The manager's limit is above the agent's own ceiling, which is by default that of the code."""
    match = re.fullmatch(r"(\d+)M", service["MemoryMax"])
    assert match is not None
    assert int(match[1]) >= 2 * Limits().memory_mib


MAX_EXPOSURE = 30
"""Of 100, as systemd counts: 28 are the five capabilities, network, netlink and /proc, which is what a probe is."""


def test_exposure_is_low() -> None:
    """`systemd-analyze security` finds nothing open that need not be; where it is missing there is nobody to ask."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    command = [tool, "security", "--no-pager", "--offline=yes", f"--threshold={MAX_EXPOSURE}", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_systemd_takes_it(tmp_path: Path) -> None:
    """`systemd-analyze verify` knows every key; where there is no systemd, the tests above have read the file."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    copy = tmp_path / UNIT.name
    # The tool wants the program to be there.
    copy.write_text(UNIT.read_text().replace(PROGRAM, sys.executable))
    done = subprocess.run([tool, "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
