"""Runs commands in guests with other kernels, several at once where they talk over a cable."""

import shutil
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from node_probe.transit import ContextFormat
from testbed.deadline import wait_until
from testbed.process import ManagedProcess, run_in
from tests.compiled.loaded import loaded_programs
from tests.compiled.sharing import SHARED
from tests.house.repository import ROOT
from tests.requirements import lack, require_bcc, require_root

GUEST = ROOT / "tests" / "kernels" / "guest.sh"
TOOLS = ("qemu-system-x86_64", "/bin/busybox", "cpio", "xz", "depmod", "apt-get", "dpkg-deb", "setpriv")
NO_GUEST = 125
END_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Guest:
    """What a guest is to run: Debian's release of the kernel, a command, and QEMU's `-nic`."""

    release: str
    command: Sequence[str]
    nic: str
    compiled: Path
    """Where programs are that the host has compiled: see tests/compiled."""


def require_guests() -> None:
    """Need what guests take: rights, bcc, QEMU and Debian's packages."""
    require_root()
    require_bcc()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        lack(f"{', '.join(missing)} missing for the guests")
    if not Path("/etc/debian_version").exists():
        lack("the guests' kernels are Debian's")


def compile_here(*choices: Sequence[ContextFormat]) -> None:
    """Compile the programs that read these formats, which takes a minute in a guest."""
    for choice in choices:
        with loaded_programs(choice):
            pass


def make_cable() -> tuple[str, str]:
    """Return QEMU's `-nic` of two guests whose frames go to each other, as datagrams between two ports of this host.

    Without a connection between them it is all the same which of the guests comes up first, or twice.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ends = [f"127.0.0.1:{end.getsockname()[1]}" for end in (one, other)]
    nic = "socket,model=virtio-net-pci,mac=52:54:00:00:00:0{},localaddr={},udp={}"
    return nic.format(1, *ends), nic.format(2, *reversed(ends))


def run_guests(guests: Sequence[Guest], work_dir: Path, timeout_s: float) -> list[str]:
    """Run the guests at once and return what their commands printed; one that fails ends all."""
    with ExitStack() as stack:
        running = [stack.enter_context(_start_guest(guest, work_dir, timeout_s)) for guest in guests]
        wait_until(lambda: _are_over(running), "the guests did not end", timeout_s + END_TIMEOUT_S)
        codes = [None if process.is_alive() else process.wait_or_kill(0) for process in running]
    consoles = [process.read_log() for process in running]
    if NO_GUEST in codes:
        number = codes.index(NO_GUEST)
        lack(f"no guest with kernel {guests[number].release} came up: {consoles[number][-500:]}")
    assert codes == [0] * len(guests), "\n\n".join(console[-3000:] for console in consoles)
    return consoles


def _start_guest(guest: Guest, work_dir: Path, timeout_s: float) -> ManagedProcess:
    inside = ["env", f"{SHARED}={guest.compiled}", *guest.command]
    command = ["env", "-C", str(ROOT), str(GUEST), guest.release, *inside]
    environment = {"GUEST_NIC": guest.nic, "GUEST_TIMEOUT_S": str(int(timeout_s))}
    return run_in(None, command, log_path=work_dir / f"guest-{guest.release}.log", environment=environment)


def _are_over(running: Sequence[ManagedProcess]) -> bool:
    """Tell whether all have ended, or one in vain."""
    codes = [process.wait_or_kill(0) for process in running if not process.is_alive()]
    return len(codes) == len(running) or any(codes)
