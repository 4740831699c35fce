"""Writes images of one layer from files of this machine, as archives that containerd imports; no registry is asked.

The archive is the one that `docker save` writes, described in the Docker image specification v1.2.
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

_FOLDERS = ("etc", "proc", "sys", "dev", "tmp", "run", "var")
"""Those that a container's runtime mounts on, or that programs expect."""

_PLATFORM = {"x86_64": "amd64", "aarch64": "arm64"}
_LIBRARY = re.compile(r"(/\S+) \(0x")


def write_image(path: Path, name: str, entry: list[str], files: Mapping[str, Path]) -> None:
    """Write an image `localhost/name:1` that runs `entry`; `files`: where in the image -> what of this machine."""
    layer = _pack_layer(files)
    layer_name = f"{hashlib.sha256(layer).hexdigest()}.tar"
    settings = {
        "architecture": _PLATFORM.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Entrypoint": entry, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    config = json.dumps(settings).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [f"localhost/{name}:1"], "Layers": [layer_name]}]
    with tarfile.open(path, "w") as archive:
        for member, data in (
            (layer_name, layer),
            (config_name, config),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            _add_file(archive, member, data)


def list_libraries(program: Path) -> dict[str, Path]:
    """Return the shared libraries that a program needs, the loader with them, as `files` of an image."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {path: Path(path) for path in _LIBRARY.findall(told)}


def find_busybox() -> Path:
    """Return the path of the static busybox."""
    found = shutil.which("busybox")
    assert found
    return Path(found)


def _pack_layer(files: Mapping[str, Path]) -> bytes:
    parents = {str(parent)[1:] for path in files for parent in Path(path).parents if parent != Path("/")}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as layer:
        for folder in sorted(parents | set(_FOLDERS)):
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            layer.addfile(member)
        for path, source in files.items():
            _add_file(layer, path[1:], source.read_bytes(), 0o755)
    return packed.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))
