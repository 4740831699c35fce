"""Prints what PROGRAM needs of PyPI, one requirement a line: of pyproject.toml, by the lists in PROGRAM/.

usage: requirements.py PROGRAM
"""

import re
import sys
import tomllib
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def read_list(path: Path) -> list[str]:
    """Return the words of a list, without its comments."""
    return [word for line in path.read_text().splitlines() for word in line.partition("#")[0].split()]


def choose_requirements(program: str) -> list[str]:
    """Return the dependencies but those that the program goes without, and those of its extras."""
    project = tomllib.loads((_HERE.parent.parent / "pyproject.toml").read_text())["project"]
    without = {name.lower() for name in read_list(_HERE / program / "without")}
    needed = list(project["dependencies"])
    for extra in read_list(_HERE / program / "extras"):
        needed += project["optional-dependencies"][extra]
    return [line for line in needed if re.split(r"[^\w.-]", line)[0].lower() not in without]


if __name__ == "__main__":
    print("\n".join(choose_requirements(sys.argv[1])))
