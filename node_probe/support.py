"""What the probe needs of the machine and finds out before it compiles anything: each lack is one clear line.

The supported floor stands here. Below it the probe does not start; above it, what a kernel lacks is a stated mode.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from node_probe.bpf import TCX_INGRESS, create_tcx_link, load_idle_program
from node_probe.errors import ProbeError
from node_probe.ring import ORDERED_MACHINES

MIN_KERNEL = (6, 1)
"""The oldest kernel that the tests run on (Debian 12's); older verifiers refuse the header search."""

_TCX_KERNEL = (6, 6)
_NO_DEVICE = 0x7FFFFFFF
_INITIAL_USERS = "0 0 4294967295"
_PROC = Path("/proc")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_JIT = Path("/proc/sys/net/core/bpf_jit_enable")


def check_platform(release: str, machine: str) -> None:
    """Require a supported kernel (`uname -r`) and architecture (`uname -m`). Raises ProbeError."""
    if machine not in ORDERED_MACHINES:
        raise ProbeError(f"architecture {machine} is not supported: the ring can be read safely on x86_64 alone")
    if _read_release(release) < MIN_KERNEL:
        raise ProbeError(f"kernel {release} is not supported: 6.1 or later is needed")


def has_tcx_by_release(release: str) -> bool:
    """Return whether a kernel of this `uname -r` should attach by tcx: for who may not ask it."""
    return _read_release(release) >= _TCX_KERNEL


def find_tcx() -> bool:
    """Return whether the kernel attaches by tcx (6.6), where bpf(2) works at all. Raises ProbeError where not."""
    try:
        program = load_idle_program()
    except OSError as error:
        causes = "; ".join(find_causes(error.errno or 0)) or "a security module may be the cause"
        raise ProbeError(f"the kernel refuses BPF programs ({error.strerror}): {causes}") from error
    try:
        create_tcx_link(program, _NO_DEVICE, TCX_INGRESS)
    except OSError as error:
        # The device is looked for only where the attach type is known.
        return error.errno == errno.ENODEV
    finally:
        os.close(program)
    return True


def find_causes(code: int, proc: Path = _PROC, lockdown: Path = _LOCKDOWN) -> Iterator[str]:
    """Yield what on this machine explains that bpf(2) failed with `code` although the capabilities are there."""
    if code == errno.ENOSYS:
        yield "it was built without CONFIG_BPF_SYSCALL, or a seccomp filter hides bpf(2)"
    if code != errno.EPERM:
        return
    if " ".join(_read(proc / "self" / "uid_map").split()) != _INITIAL_USERS:
        yield "capabilities of a user namespace do not count for it (rootless container?)"
    if re.search(r"^Seccomp:\s*2$", _read(proc / "self" / "status"), re.MULTILINE):
        yield "a seccomp filter is set, which may forbid bpf(2)"
    match = re.search(r"\[(\w+)\]", _read(lockdown))
    if match is not None and match[1] != "none":
        yield f"the kernel is locked down ({match[1]})"


def find_degraded_modes(*, tcx: bool, pod_wanted: bool, pod: bool, jit: Path = _JIT) -> Iterator[tuple[str, str]]:
    """Yield each mode that is less than the best as a sentence, with the reason: for the log's first lines."""
    if not tcx:
        yield "attaching by clsact, with a guardian", "the kernel has no tcx (6.6 or later has)"
    if pod_wanted and not pod:
        yield "running with the host's points alone", "CAP_SYS_ADMIN, which pod points need, is missing"
    if _read(jit).strip() == "0":
        yield "running interpreted programs, several times as dear", "net.core.bpf_jit_enable is 0"


def _read_release(release: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match is not None else (0, 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
