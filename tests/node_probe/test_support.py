"""The supported floor, and what is said of a machine below it."""

import errno
from pathlib import Path

import pytest

from node_probe.errors import ProbeError
from node_probe.support import check_platform, find_causes, find_degraded_modes

FLOOR = [
    # release, machine, what is wrong
    ("6.1.0-44-amd64", "x86_64", ""),
    ("6.1.0", "x86_64", ""),
    ("6.12.48+deb13-amd64", "x86_64", ""),
    ("7.0-rc1", "x86_64", ""),
    ("10.2", "x86_64", ""),
    ("6.0.19", "x86_64", "kernel 6.0.19 is not supported: 6.1 or later is needed"),
    ("5.15.0-100-generic", "x86_64", "kernel 5.15.0-100-generic is not supported"),
    ("unknown", "x86_64", "kernel unknown is not supported"),
    ("6.12.1", "aarch64", "architecture aarch64 is not supported"),
    ("6.12.1", "i686", "architecture i686 is not supported"),
]


@pytest.mark.parametrize(("release", "machine", "fault"), FLOOR)
def test_floor(release: str, machine: str, fault: str) -> None:
    """Kernel and architecture are checked before anything else."""
    if not fault:
        check_platform(release, machine)
        return
    with pytest.raises(ProbeError) as error:
        check_platform(release, machine)
    assert str(error.value).startswith(fault)
    assert "\n" not in str(error.value)


INITIAL = "         0          0 4294967295\n"

REFUSALS = [
    # errno, uid_map, seccomp mode, lockdown, what is said
    (errno.EPERM, INITIAL, 0, "[none] integrity confidentiality\n", []),
    (errno.EPERM, "0 100000 65536\n", 0, "", ["user namespace"]),
    (errno.EPERM, INITIAL, 2, "", ["seccomp"]),
    (errno.EPERM, INITIAL, 0, "none integrity [confidentiality]\n", ["locked down (confidentiality)"]),
    (errno.EPERM, "0 1 1\n", 2, "none [integrity] confidentiality\n", ["user namespace", "seccomp", "integrity"]),
    (errno.ENOSYS, INITIAL, 0, "", ["CONFIG_BPF_SYSCALL"]),
    (errno.EINVAL, INITIAL, 2, "", []),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_causes_of_a_refusal(tmp_path: Path, refusal: tuple[int, str, int, str, list[str]]) -> None:
    """What the machine tells of itself explains why bpf(2) fails although the capabilities are there."""
    code, uid_map, seccomp, lockdown, words = refusal
    own = tmp_path / "self"
    own.mkdir()
    (own / "uid_map").write_text(uid_map)
    (own / "status").write_text(f"Name:\tpython3\nNoNewPrivs:\t1\nSeccomp:\t{seccomp}\nSeccomp_filters:\t{seccomp}\n")
    (tmp_path / "lockdown").write_text(lockdown)
    causes = list(find_causes(code, tmp_path, tmp_path / "lockdown"))
    assert len(causes) == len(words)
    assert all(word in cause for word, cause in zip(words, causes, strict=True))


def test_degraded_modes(tmp_path: Path) -> None:
    """Each is told with its reason; a machine that has everything has none."""
    jit = tmp_path / "jit"
    jit.write_text("1\n")
    assert list(find_degraded_modes(tcx=True, pod_wanted=True, pod=True, jit=jit)) == []
    assert list(find_degraded_modes(tcx=True, pod_wanted=False, pod=False, jit=tmp_path / "none")) == []
    jit.write_text("0\n")
    told = dict(find_degraded_modes(tcx=False, pod_wanted=True, pod=False, jit=jit))
    assert list(told) == [
        "attaching by clsact, with a guardian",
        "running with the host's points alone",
        "running interpreted programs, several times as dear",
    ]
    assert "CAP_SYS_ADMIN" in told["running with the host's points alone"]
