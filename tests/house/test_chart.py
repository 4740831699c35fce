"""The Helm chart's files: of one version and one mind with what they are made from. Rendering is tested by Helm."""

import itertools
import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.house.repository import ROOT
from tests.house.schemas import CHART_SCHEMA, render_chart_schema

CHART = CHART_SCHEMA.parent
COPIES = [("prometheus/hopspan-rules.yaml", "hopspan-rules.yaml"), ("grafana/hopspan.json", "hopspan-dashboard.json")]


def test_version_is_that_of_the_programs() -> None:
    """Chart and images are released together."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


@pytest.mark.parametrize(("place", "name"), COPIES)
def test_copies_are_equal(place: str, name: str) -> None:
    """The chart has copies, since Helm reads nothing outside of it."""
    original, copy = ROOT / "otel-config" / place, CHART / "files" / name
    assert copy.read_text() == original.read_text(), f"cp {original.relative_to(ROOT)} {copy.relative_to(ROOT)}"


def test_committed_schema_is_that_of_the_code() -> None:
    """`make schemas` writes it, with the programs' own schemas in it."""
    assert CHART_SCHEMA.read_text(encoding="utf-8") == render_chart_schema(), "run `make schemas`"


def test_every_value_has_a_default_and_a_place_in_the_schema() -> None:
    """values.yaml shows all that can be set."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads(render_chart_schema())
    schema["properties"].pop("global")
    assert sorted(list_values(values)) == sorted(list_properties(schema))


def test_every_value_has_a_comment() -> None:
    """On the line above it."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    names = {path.rpartition(".")[2] for path in list_values(yaml.safe_load("\n".join(lines)))}
    assert [
        line
        for above, line in itertools.pairwise(lines)
        if line.strip().partition(":")[0] in names and not above.strip().startswith("#")
    ] == []


def list_values(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of the chart's own values: what is Kubernetes' or a program's is one."""
    free = ("config", "seccompProfile", "updateStrategy", "nodeSelector", "resources", "labels")
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in free:
            yield from list_values(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def list_properties(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the same of the schema."""
    for name, inner in schema["properties"].items():
        if "properties" in inner and name != "config":
            yield from list_properties(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"
