"""Writes images without an engine: layers from folders, and an archive that containerd, Docker and Podman load.

The same content gives the same bytes: names sorted, all owned by root, all times SOURCE_DATE_EPOCH or the one below.

usage: archive.py layer FOLDER OUT           OUT.gz and OUT.json
       archive.py image CONTAINERFILE NAME:TAG OUT LAYER...    LAYER as above, the lowest first
"""

import gzip
import hashlib
import io
import json
import os
import platform
import re
import shlex
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EPOCH_S = int(os.environ.get("SOURCE_DATE_EPOCH", "1580601600"))
"""2020-02-02, as in hopspan's wheels."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def write_layer(folder: Path, out: Path) -> None:
    """Write the folder's tree as OUT.gz, and as OUT.json what a manifest says of it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder), recursive=False, filter=_make_plain)
    packed = gzip.compress(plain.getbuffer(), mtime=0)
    out.with_suffix(".gz").write_bytes(packed)
    facts = {
        "diff_id": _digest(plain.getbuffer()),
        "unpacked": len(plain.getbuffer()),
        **_describe(_LAYER, packed),
    }
    out.with_suffix(".json").write_text(json.dumps(facts))


def _make_plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = EPOCH_S
    # Nobody shall gain rights by a file of the image; the bit of /tmp stays.
    entry.mode &= 0o1777 if entry.isdir() else 0o755
    return entry


def read_containerfile(path: Path) -> dict[str, Any]:
    """Return the image's configuration, as OCI spells it: what the last stage says."""
    config: dict[str, Any] = {}
    for word, rest in _read_instructions(path):
        if word == "FROM":
            config = {}
        elif word in ("ENTRYPOINT", "CMD"):
            config[word.title()] = json.loads(rest)
        elif word == "USER":
            config["User"] = rest
        elif word == "ENV":
            config.setdefault("Env", []).extend(shlex.split(rest))
        elif word == "LABEL":
            config.setdefault("Labels", {}).update(item.split("=", 1) for item in shlex.split(rest))
        elif word == "EXPOSE":
            config.setdefault("ExposedPorts", {}).update({f"{port}/tcp": {} for port in rest.split()})
        elif word != "COPY" and config:
            raise SystemExit(f"{path}: {word} is not known here")
    return config


def _read_instructions(path: Path) -> Iterator[tuple[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word, rest.strip()


def write_image(containerfile: Path, name: str, out: Path, layers: list[Path]) -> None:
    """Write an OCI layout as a tar file, with the manifest that `docker load` reads beside it."""
    facts = [json.loads(layer.with_suffix(".json").read_text()) for layer in layers]
    blobs = {fact["digest"]: layer.with_suffix(".gz").read_bytes() for fact, layer in zip(facts, layers, strict=True)}
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH_S))
    config = _dump(
        {
            "created": created,
            "architecture": _ARCHITECTURES[platform.machine()],
            "os": "linux",
            "config": read_containerfile(containerfile),
            "rootfs": {"type": "layers", "diff_ids": [fact["diff_id"] for fact in facts]},
            "history": [{"created": created, "created_by": "otel-config/images/build.sh"} for _ in facts],
        }
    )
    manifest = _dump(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _describe(_CONFIG, config),
            "layers": [{key: fact[key] for key in ("mediaType", "digest", "size")} for fact in facts],
        }
    )
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [{**_describe(_MANIFEST, manifest), "annotations": names}],
    }
    blobs |= {_digest(config): config, _digest(manifest): manifest}
    docker = {
        "Config": _blob_path(_digest(config)),
        "RepoTags": [name],
        "Layers": [_blob_path(fact["digest"]) for fact in facts],
    }
    files = {_blob_path(digest): data for digest, data in blobs.items()} | {
        "index.json": _dump(index),
        "manifest.json": _dump([docker]),
        "oci-layout": _dump({"imageLayoutVersion": "1.0.0"}),
    }
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        for file_name, data in sorted(files.items()):
            entry = tarfile.TarInfo(file_name)
            entry.size, entry.mtime = len(data), EPOCH_S
            tar.addfile(entry, io.BytesIO(data))


def _describe(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes | memoryview) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _dump(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def main() -> None:
    """Do what the first argument says."""
    match sys.argv[1:]:
        case ["layer", folder, out]:
            write_layer(Path(folder), Path(out))
        case ["image", containerfile, name, out, *layers] if layers:
            write_image(Path(containerfile), name, Path(out), [Path(layer) for layer in layers])
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
