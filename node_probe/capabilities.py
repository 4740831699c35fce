"""The capabilities of this process: which ones the probe needs and for what, and the giving up of all others.

The only module that calls capset(2) and prctl(2). A capability is a thread's: give up before there are other threads.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path

from node_probe.errors import ProbeError


class Capability(IntEnum):
    """Those that matter here, by the kernel's numbers (linux/capability.h)."""

    DAC_READ_SEARCH = 2
    SETPCAP = 8
    NET_ADMIN = 12
    SYS_PTRACE = 19
    SYS_ADMIN = 21
    PERFMON = 38
    BPF = 39

    @property
    def label(self) -> str:
        """Return `CAP_BPF` and the like."""
        return f"CAP_{self.name}"


HOST_POINTS = frozenset({Capability.BPF, Capability.NET_ADMIN, Capability.PERFMON})
"""To load tc programs (all three), and to attach them by netlink (NET_ADMIN); attaching by tcx needs none."""

POD_POINTS = frozenset({Capability.SYS_ADMIN, Capability.SYS_PTRACE})
"""To enter a pod's network namespace (setns), and to find it by the /proc/PID/ns/net of a process that is another
user's or has capabilities of its own. Without SYS_PTRACE those with a name in /run/netns are found all the same."""

_BY_SYS_ADMIN = frozenset({Capability.BPF, Capability.PERFMON})
"""What SYS_ADMIN includes, since it did everything before Linux 5.8 (bpf_capable, perfmon_capable)."""

_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")
_SETS = struct.Struct("=6I")
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")

_libc = ctypes.CDLL(None, use_errno=True)


def read_effective() -> frozenset[int]:
    """Return the numbers of the capabilities that are in effect."""
    effective, _, _ = _read_sets()
    return frozenset(number for number in range(64) if effective >> number & 1)


def check_host_rights(effective: Iterable[int]) -> None:
    """Require what the host's points need. Raises ProbeError naming all that is missing."""
    effective = frozenset(effective)
    implied = _BY_SYS_ADMIN if Capability.SYS_ADMIN in effective else frozenset()
    missing = HOST_POINTS - effective - implied
    if missing:
        raise ProbeError(f"missing capabilities: {', '.join(sorted(c.label for c in missing))}")


def choose_for_loading(effective: Iterable[int]) -> frozenset[Capability]:
    """Return what the programs are loaded with: the host points' rights, and SYS_ADMIN where it stands for one."""
    missing = _BY_SYS_ADMIN - frozenset(effective)
    return HOST_POINTS | (frozenset({Capability.SYS_ADMIN}) if missing else frozenset())


def choose_kept(*, pod: bool, tcx: bool) -> frozenset[Capability]:
    """Return what is still needed once the programs are loaded: to attach them to devices that come later."""
    return (POD_POINTS if pod else frozenset()) | (frozenset() if tcx else frozenset({Capability.NET_ADMIN}))


def forbid_gains() -> None:
    """Let no execve give this process or its children more than it has (no_new_privs). Raises OSError."""
    _call_prctl(_PR_SET_NO_NEW_PRIVS, 1)


def give_up_all_but(kept: Iterable[Capability], *, for_children: bool = False) -> None:
    """Drop from every set of this thread what is not in `kept`; what is in it and was not there stays absent.

    `for_children` lets programs that are started later have them too, whatever the user. Raises OSError.
    """
    effective, permitted, _ = _read_sets()
    mask = sum(1 << capability for capability in kept) & permitted
    if effective >> Capability.SETPCAP & 1:
        for number in range(int(_LAST_CAPABILITY.read_text()) + 1):
            if not mask >> number & 1:
                _call_prctl(_PR_CAPBSET_DROP, number)
    # Without SETPCAP the bounding set stays: it limits what execve may give, and no_new_privs lets it give nothing.
    _call_prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    _write_sets(mask, mask, mask if for_children else 0)
    if for_children:
        for capability in kept:
            if mask >> capability & 1:
                _call_prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, capability)


def needs_search(paths: Iterable[Path]) -> bool:
    """Return whether one of the files can be read thanks to a capability alone, as in a home that is not root's."""
    effective, permitted, inheritable = _read_sets()
    _write_sets(0, permitted, inheritable)
    try:
        return not all(_can_read(path) for path in paths)
    finally:
        _write_sets(effective, permitted, inheritable)


def _can_read(path: Path) -> bool:
    with contextlib.suppress(PermissionError), path.open("rb"):
        return True
    return False


def _read_sets() -> Iterator[int]:
    data = ctypes.create_string_buffer(_SETS.size)
    _check(_libc.capget(_HEADER.pack(_VERSION_3, 0), data))
    words = _SETS.unpack(data.raw)
    return (words[i] | words[i + 3] << 32 for i in range(3))


def _write_sets(effective: int, permitted: int, inheritable: int) -> None:
    words = [mask >> shift & 0xFFFFFFFF for shift in (0, 32) for mask in (effective, permitted, inheritable)]
    _check(_libc.capset(_HEADER.pack(_VERSION_3, 0), _SETS.pack(*words)))


def _call_prctl(option: int, *arguments: int) -> None:
    padded = (*arguments, 0, 0, 0, 0)[:4]
    _check(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(argument) for argument in padded)))


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
