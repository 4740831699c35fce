"""The systemd units that are shipped: systemd takes them without a word, and the rights are those in the code."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collector_plugin.grpc_service import HANDLER_THREADS
from node_probe.capabilities import HOST_POINTS, POD_POINTS
from node_probe.config import Limits
from tests.house.repository import ROOT

FOLDER = ROOT / "otel-config" / "systemd"
PROGRAMS = ("node-probe", "collector-plugin")
MAX_EXPOSURE = {"node-probe": 30, "collector-plugin": 16}
"""Of 100, as systemd counts: 28 of the probe's are the five capabilities, network, netlink and /proc, which is what a
probe is; the plugin's are the network and files of others."""


def read_service(program: str) -> configparser.SectionProxy:
    """Return the section [Service]."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are written
    unit.read(FOLDER / f"{program}.service")
    return unit["Service"]


@pytest.mark.parametrize("key", ["AmbientCapabilities", "CapabilityBoundingSet"])
def test_rights_of_the_probe_are_those_of_the_code(key: str) -> None:
    """The service gets exactly what the code asks for."""
    assert sorted(read_service("node-probe")[key].split()) == sorted(c.label for c in HOST_POINTS | POD_POINTS)


def test_plugin_has_no_rights() -> None:
    """It needs none."""
    service = read_service("collector-plugin")
    assert (service["CapabilityBoundingSet"], "AmbientCapabilities" in service) == ("", False)


@pytest.mark.parametrize("program", PROGRAMS)
def test_watchdog_and_readiness(program: str) -> None:
    """It says itself when it is ready and that it lives, and comes back when it dies, unless the file is wrong."""
    service = read_service(program)
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 10
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.parametrize("program", PROGRAMS)
def test_commands_exist(program: str) -> None:
    """What the unit runs is what the command line has, with the file that its head tells to install."""
    service = read_service(program)
    assert service["ExecStart"] == f"/opt/hopspan/bin/{program} --config /etc/hopspan/{program}.yaml"
    assert service.get("ExecStopPost") == {"node-probe": "/opt/hopspan/bin/node-probe clean"}.get(program)
    assert (ROOT / "otel-config" / f"{program}.yaml").exists()


def test_memory_leaves_room_for_the_agent() -> None:
    """The manager's limit is above the agent's own ceiling, which is by default that of the code."""
    match = re.fullmatch(r"(\d+)M", read_service("node-probe")["MemoryMax"])
    assert match is not None
    assert int(match[1]) >= 2 * Limits().memory_mib


def test_plugin_may_have_its_threads() -> None:
    """Those that handle requests, and a hundred for all else."""
    assert int(read_service("collector-plugin")["TasksMax"]) >= HANDLER_THREADS + 100


@pytest.mark.parametrize("program", PROGRAMS)
def test_exposure_is_low(program: str) -> None:
    """`systemd-analyze security` finds nothing open that need not be; where it is missing there is nobody to ask."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    unit = str(FOLDER / f"{program}.service")
    command = [tool, "security", "--no-pager", "--offline=yes", f"--threshold={MAX_EXPOSURE[program]}", unit]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_systemd_takes_it(program: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` knows every key; where there is no systemd, the tests above have read the file."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return
    copy = tmp_path / f"{program}.service"
    # The tool wants the program to be there.
    text = (FOLDER / copy.name).read_text()
    copy.write_text(text.replace(f"/opt/hopspan/bin/{program}", sys.executable))
    done = subprocess.run([tool, "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
