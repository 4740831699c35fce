"""The JSON schemas of both programs' configuration and of the Helm chart, and the reference made of the first.

`python -m tests.house.schemas` (`make schemas`) writes the committed files.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from collector_plugin.config import PluginConfig
from hopspan.config_schema import build_schema
from node_probe.config import ProbeConfig
from tests.house.chart_schema import build_chart_schema
from tests.house.config_reference import render_reference
from tests.house.repository import ROOT

SCHEMAS = {
    ROOT / "otel-config" / "collector-plugin.schema.json": build_schema(PluginConfig, "collector-plugin"),
    ROOT / "otel-config" / "node-probe.schema.json": build_schema(ProbeConfig, "node-probe"),
}

CHART_SCHEMA = ROOT / "otel-config" / "helm" / "hopspan" / "values.schema.json"

REFERENCE = ROOT / "docs" / "configuration-reference.md"


def render_configuration() -> str:
    """Return the text of the reference."""
    return render_reference({schema["title"]: schema for schema in reversed(SCHEMAS.values())})


def render_schema(path: Path) -> str:
    """Return the text of the schema's file."""
    return _write_json(SCHEMAS[path])


def render_chart_schema() -> str:
    """Return the text of the chart's file."""
    return _write_json(build_chart_schema())


def _write_json(schema: Mapping[str, object]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    for path in SCHEMAS:
        path.write_text(render_schema(path), encoding="utf-8")
    CHART_SCHEMA.write_text(render_chart_schema(), encoding="utf-8")
    REFERENCE.write_text(render_configuration(), encoding="utf-8")


if __name__ == "__main__":
    main()
