"""The images' files that are shipped: both ways of building are one set of scripts and lists, and the lists are true.

What is built from them is tested in tests/kubernetes/built.
"""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.repository import ROOT

FOLDER = ROOT / "otel-config" / "images"
PROGRAMS = ("node-probe", "collector-plugin")
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]


def read_list(path: Path) -> list[str]:
    return [word for line in path.read_text().splitlines() for word in line.partition("#")[0].split()]


def read_instructions(program: str, word: str) -> list[str]:
    """Return what stands behind a word in the Containerfile, with continued lines as one."""
    text = (FOLDER / program / "Containerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{word} (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS)
def test_engine_runs_the_scripts_of_build_sh(program: str) -> None:
    """What an engine does beside getting their tools is what build.sh does, in the same layers."""
    steps = [json.loads(step) for step in read_instructions(program, "RUN")]
    scripts = [" ".join(step) for step in steps if step[0] != "apt-get"]
    shared = "/source/otel-config/images"
    assert scripts == [
        f"{shared}/root.sh {program} /made/root",
        f"{shared}/python.sh libraries {program} /made/libraries /tools",
        f"{shared}/python.sh program {program} /made/program /tools",
    ]
    layers = [f"--from=made /made/{layer} /" for layer in ("root", "libraries", "program")]
    assert read_instructions(program, "COPY")[-3:] == layers
    commands = re.findall(r"^ *run .*/(\S+\.sh)\" (.*)$", (FOLDER / "build.sh").read_text(), re.MULTILINE)
    assert [f"{script} {words.split()[0]}" for script, words in commands] == [
        'root.sh "$program"',
        "python.sh libraries",
        "python.sh program",
    ]


@pytest.mark.parametrize("program", PROGRAMS)
def test_engine_starts_from_a_base_without_a_registry(program: str) -> None:
    """Plain names, so that whoever has a mirror needs no change; the image itself has no base."""
    assert read_instructions(program, "FROM") == ["debian:bookworm-slim AS made", "scratch"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_engine_is_given_what_the_wheel_is_made_of(program: str) -> None:
    """By name, so that nothing else of a checkout is sent to it."""
    lines = [line for line in read_instructions(program, "COPY") if not line.startswith("--from")]
    copied = [word for line in lines for word in line.split()[:-1]]
    files = [PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "constraints.txt", "otel-config/images"]
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(copied) == sorted([*files, *packages])


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_goes_without_real_dependencies(program: str) -> None:
    """What a list names is in pyproject.toml; a name that has gone there goes here."""
    names = {re.split(r"[^\w.-]", line)[0] for line in PROJECT["dependencies"]}
    assert set(read_list(FOLDER / program / "without")) < names
    assert set(read_list(FOLDER / program / "extras")) <= PROJECT["optional-dependencies"].keys()


def test_plugin_has_all_extras() -> None:
    """Whoever runs the image cannot add any."""
    assert set(read_list(FOLDER / "collector-plugin" / "extras")) == PROJECT["optional-dependencies"].keys()


@pytest.mark.parametrize("program", PROGRAMS)
def test_asked_packages_are_not_left_out(program: str) -> None:
    """The lists do not contradict each other."""
    left_out = re.compile("|".join(read_list(FOLDER / "leave-out")))
    assert not [name for name in read_list(FOLDER / program / "packages") if left_out.fullmatch(name)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_image_has_the_version_of_the_package(program: str) -> None:
    """As its label says, and the command in the file's head."""
    version = PROJECT["version"]
    assert f'org.opencontainers.image.version="{version}"' in read_instructions(program, "LABEL")[0]
    assert f"-t hopspan-{program}:{version} ." in (FOLDER / program / "Containerfile").read_text()


@pytest.mark.parametrize("arguments", [(), ("node-probe",), ("hopspan", "out.tar"), ("", "out.tar")])
def test_wrong_usage_is_told(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """One line, and nothing is built."""
    command = [str(FOLDER / "build.sh"), *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"build.sh: usage: build.sh node-probe|collector-plugin OUT.tar\n")
    assert not list(tmp_path.iterdir())


def test_place_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """And not after minutes."""
    command = [str(FOLDER / "build.sh"), "node-probe", str(tmp_path / "none" / "out.tar")]
    done = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (1, f"build.sh: no folder for {command[2]}\n")
    assert not list(tmp_path.iterdir())
