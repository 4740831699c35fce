"""The JSON schemas of both programs' configuration, and the reference made of them.

`python -m tests.house.schemas` (`make schemas`) writes the committed files.
"""

import json
from pathlib import Path

from collector_plugin.config import PluginConfig
from hopspan.config_schema import build_schema
from node_probe.config import ProbeConfig
from tests.house.config_reference import render_reference
from tests.house.repository import ROOT

SCHEMAS = {
    ROOT / "otel-config" / "collector-plugin.schema.json": build_schema(PluginConfig, "collector-plugin"),
    ROOT / "otel-config" / "node-probe.schema.json": build_schema(ProbeConfig, "node-probe"),
}

REFERENCE = ROOT / "docs" / "configuration-reference.md"


def render_configuration() -> str:
    """Return the text of the reference."""
    return render_reference({schema["title"]: schema for schema in reversed(SCHEMAS.values())})


def render_schema(path: Path) -> str:
    """Return the text of the schema's file."""
    return json.dumps(SCHEMAS[path], indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    for path in SCHEMAS:
        path.write_text(render_schema(path), encoding="utf-8")
    REFERENCE.write_text(render_configuration(), encoding="utf-8")


if __name__ == "__main__":
    main()
