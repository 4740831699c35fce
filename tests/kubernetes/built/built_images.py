"""The programs' images as build.sh makes them: an archive, what it says of itself, and its root, unpacked.

Edge: runs build.sh, reads the archive.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tests.house.repository import ROOT
from tests.requirements import lack

BUILD = ROOT / "otel-config" / "images" / "build.sh"
BUILD_TIMEOUT_S = 900
PROGRAMS = ("node-probe", "collector-plugin")
_TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg", "flock": "util-linux", "ld": "binutils"}


class BuiltImage(msgspec.Struct, frozen=True):
    """An image, and where its root is unpacked."""

    program: str
    name: str
    """As build.sh printed it."""
    archive: Path
    root: Path
    config: Mapping[str, Any]
    diff_ids: tuple[str, ...]
    layers: tuple[str, ...]
    """The names of the layers in the archive, the lowest first."""

    def read_blob(self, name: str) -> bytes:
        """Return a file of the archive."""
        with tarfile.open(self.archive) as tar:
            found = tar.extractfile(name)
            assert found is not None
            return found.read()

    def list_layers(self) -> Iterator[bytes]:
        """Yield each layer as a tar file."""
        for layer in self.layers:
            yield zlib.decompress(self.read_blob(layer), wbits=31)

    def count_bytes(self) -> tuple[int, int]:
        """Return how much the files take unpacked, and how much a registry would send."""
        files = [path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()]
        return sum(path.stat().st_size for path in files), sum(len(self.read_blob(layer)) for layer in self.layers)


def build_archive(program: str, archive: Path, environment: Mapping[str, str] = {}) -> str:
    """Build an archive, with more environment; return the image's name. Lacking a tool, skip or fail."""
    if missing := [f"{tool} ({package})" for tool, package in _TOOLS.items() if not shutil.which(tool)]:
        lack(f"building images needs {', '.join(missing)}")
    done = subprocess.run(
        [BUILD, program, archive],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def build_image(program: str, work_dir: Path) -> BuiltImage:
    """Build an image and unpack its root."""
    archive, root = work_dir / f"{program}.tar", work_dir / program
    name = build_archive(program, archive)
    with tarfile.open(archive) as tar:
        manifest = json.loads(_read(tar, "manifest.json"))[0]
        settings = json.loads(_read(tar, manifest["Config"]))
    image = BuiltImage(
        program=program,
        name=name,
        archive=archive,
        root=root,
        config=settings["config"],
        diff_ids=tuple(settings["rootfs"]["diff_ids"]),
        layers=tuple(manifest["Layers"]),
    )
    root.mkdir()
    for layer in image.list_layers():
        subprocess.run(["tar", "-xp", "--same-owner", "-C", root], input=layer, check=True)
    return image


def digest(data: bytes) -> str:
    """Return a blob's name."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(name)
    assert found is not None
    return found.read()
