"""What keeps the programs from being compiled is one line that names what to install."""

import errno
from pathlib import Path

import pytest

from node_probe import compiler


def test_missing_bcc_is_named() -> None:
    """The package of that name on PyPI is another, so the distribution's is named."""
    error = ModuleNotFoundError("No module named 'bcc'", name="bcc")
    assert "python3-bpfcc" in compiler.describe_failure(error)


def test_other_package_of_that_name_is_told_apart() -> None:
    """PyPI's bcc imports and has no BPF."""
    error = AttributeError("module 'bcc' has no attribute 'BPF'", name="BPF")
    assert "not the BPF Compiler Collection" in compiler.describe_failure(error)


def test_missing_headers_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libc's UAPI headers nothing compiles."""
    monkeypatch.setattr(compiler, "_UAPI", tmp_path)
    with pytest.raises(FileNotFoundError, match="install linux-libc-dev") as error:
        compiler.make_header_tree(tmp_path)
    assert compiler.describe_failure(error.value).endswith("install linux-libc-dev")


def test_full_disk_is_named() -> None:
    """An error of the system keeps its own words."""
    error = OSError(errno.ENOSPC, "No space left on device", "/tmp/hopspan-headers-x")  # noqa: S108 - only a text
    assert "No space left on device" in compiler.describe_failure(error)
