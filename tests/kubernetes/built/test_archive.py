"""The images as built without an engine: what they say of themselves, and what they hold."""

import io
import json
import os
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.house.repository import ROOT
from tests.kubernetes.built.built_images import BuiltImage, build_archive, digest

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(1200)]

USERS = {"node-probe": "0:0", "collector-plugin": "65532:65532"}
FIGURES_DIFFER = 0.05
"""Of the sizes in the documentation: the distribution's updates change them a little."""


def test_image_says_what_it_is(image: BuiltImage) -> None:
    """Name, version, user by number, and a command without a shell; the name is where containerd looks for it."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert image.name == f"localhost/hopspan-{image.program}:{version}"
    assert image.config["User"] == USERS[image.program]
    assert image.config["Entrypoint"] == [f"/usr/local/bin/{image.program}"]
    assert image.config["Cmd"] == ["--config", f"/etc/hopspan/{image.program}.yaml"]
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.title"] == f"hopspan {image.program}"
    assert labels["org.opencontainers.image.version"] == version
    assert json.loads(image.read_blob("manifest.json"))[0]["RepoTags"] == [image.name]
    index = json.loads(image.read_blob("index.json"))
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == image.name


def test_blobs_are_what_they_are_called(image: BuiltImage) -> None:
    """Whoever loads the archive compares."""
    with tarfile.open(image.archive) as tar:
        blobs = [name for name in tar.getnames() if name.startswith("blobs/")]
    assert [f"blobs/{digest(image.read_blob(name)).replace(':', '/')}" for name in blobs] == blobs
    assert tuple(digest(layer) for layer in image.list_layers()) == image.diff_ids


def test_image_is_the_same_when_it_is_built_again(image: BuiltImage, tmp_path: Path) -> None:
    """To the byte, so that a registry has it once; the plugin's from nothing, since the probe's takes minutes."""
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path)} if image.program == "collector-plugin" else {}
    build_archive(image.program, tmp_path / "again.tar", elsewhere)
    assert (tmp_path / "again.tar").read_bytes() == image.archive.read_bytes()


def test_nobody_gains_rights_by_a_file(image: BuiltImage) -> None:
    """All is root's, nothing runs as its owner, and nobody else writes anywhere but to the temporary folder."""
    for layer in image.list_layers():
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for entry in tar:
                assert (entry.uid, entry.gid, entry.uname, entry.gname) == (0, 0, "", ""), entry.name
                assert not entry.mode & 0o6000, entry.name
                assert entry.issym() or not entry.mode & 0o002 or entry.name == "tmp", entry.name


def test_image_has_neither_shell_nor_package_manager(image: BuiltImage) -> None:
    """The programs need none; whoever breaks in finds none. What there is, scanners read from the descriptions."""
    folders = [image.root / "usr" / folder for folder in ("bin", "sbin", "local/bin")]
    commands = {path.name for folder in folders for path in folder.glob("*")}
    assert {re.sub(r"\.\d+$", "", name) for name in commands} == {image.program, "python3"}
    described = {path.name for path in (image.root / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "python3", "zlib1g"} <= described


def test_nothing_of_this_machine_is_in_it(image: BuiltImage) -> None:
    """No path, no mirror, no proxy, no authority of its own, no settings of the package managers."""
    settings = ["etc/apt", "etc/pip.conf", "root/.config", "root/.netrc", "root/.pypirc", "etc/resolv.conf"]
    assert not [name for name in settings if (image.root / name).exists()]
    secrets_here = list_secrets()
    for path in image.root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            assert not [what for what in secrets_here if what in data], path


def list_secrets() -> list[bytes]:
    """Return what belongs to this machine: where things lie and whom it asks."""
    told = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    urls = re.findall(r"(?:index-url|proxy|find-links)='([^']+)'", told)
    urls += [
        value for name, value in os.environ.items() if re.search(r"(?i)_proxy$|INDEX_URL$", name) and "/" in value
    ]
    places = [str(ROOT), os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")), "/tmp/tmp."]  # noqa: S108 - mktemp's
    authorities = [
        line
        for path in Path("/usr/local/share/ca-certificates").rglob("*.crt")
        for line in path.read_text(errors="replace").splitlines()[1:3]
    ]
    return [text.encode() for text in (*urls, *places, *authorities) if text]


def test_sizes_are_those_of_the_documentation(image: BuiltImage) -> None:
    """docs/images.md states them."""
    row = re.search(
        rf"^\| `{image.program}` \| (\d+) MB \| (\d+) MB \|", (ROOT / "docs/images.md").read_text(), re.MULTILINE
    )
    assert row is not None
    measured = [size / 1e6 for size in image.count_bytes()]
    assert measured == [pytest.approx(float(stated), rel=FIGURES_DIFFER, abs=1) for stated in row.groups()]
