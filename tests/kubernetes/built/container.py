"""An image's root as a container by runc, with what Kubernetes gives a pod: read-only root, temporary folder, rights.

Edge: starts runc, which is the distribution's.
"""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.namespace import NETNS_DIRECTORY
from testbed.process import ManagedProcess, run_in
from tests.house.repository import ROOT
from tests.kubernetes.built.built_images import BuiltImage
from tests.requirements import lack

_TOOLS = ROOT / "build" / "tools" / "usr" / "sbin"
_MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware")
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What containerd hides and protects in every container that is not privileged."""


def find_runc() -> str:
    """Return the path of runc; lacking it, skip or fail."""
    found = shutil.which("runc", path=f"{_TOOLS}:{os.environ.get('PATH', '')}")
    if found is None:
        lack("runc is missing (make test-kubernetes unpacks it)")
    return found


@contextmanager
def running_container(
    image: BuiltImage,
    work_dir: Path,
    namespace: str,
    *,
    rights: Sequence[str] = (),
    mounts: Mapping[str, Path] = {},
    command: Sequence[str] | None = None,
) -> Iterator[ManagedProcess]:
    """Hold a container in a network namespace.

    `mounts`: where in it -> a folder here. `command` is run in place of the image's own.
    """
    runc = find_runc()
    name = f"hopspan-{image.program}-{secrets.token_hex(3)}"
    bundle = work_dir / name
    bundle.mkdir()
    spec = _describe(image, NETNS_DIRECTORY / namespace, rights, mounts, command)
    (bundle / "config.json").write_text(json.dumps(spec))
    state = ["--root", str(bundle / "state")]
    try:
        with run_in(None, [runc, *state, "run", "-b", str(bundle), name], log_path=bundle / "log") as process:
            yield process
    finally:
        subprocess.run([runc, *state, "delete", "--force", name], check=False, capture_output=True)


def _describe(
    image: BuiltImage,
    namespace: Path,
    rights: Sequence[str],
    mounts: Mapping[str, Path],
    command: Sequence[str] | None,
) -> dict[str, Any]:
    user, group = map(int, image.config["User"].split(":"))
    sets = ("bounding", "effective", "permitted")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user, "gid": group},
            "args": [*(image.config["Entrypoint"] + image.config["Cmd"] if command is None else command)],
            "env": image.config["Env"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {key: list(rights) for key in sets},
        },
        "root": {"path": str(image.root), "readonly": True},
        "hostname": image.program,
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {
                "destination": "/sys",
                "type": "sysfs",
                "source": "sysfs",
                "options": ["ro", "nosuid", "noexec", "nodev"],
            },
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "mode=755", "size=64k"],
            },
            {
                "destination": "/tmp",  # noqa: S108 - the container's own
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777"],
            },
            *(
                {"destination": place, "type": "bind", "source": str(folder), "options": ["rbind", "rw"]}
                for place, folder in mounts.items()
            ),
        ],
        "linux": {
            "namespaces": [
                *({"type": kind} for kind in ("mount", "pid", "ipc", "uts")),
                {"type": "network", "path": str(namespace)},
            ],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
        },
    }
