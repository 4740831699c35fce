"""Turns the JSON schemas of the configuration into docs/configuration-reference.md. Pure; `make schemas` writes it.

A table for each top-level mapping of each program, and one of the keys beside them. All texts are those of the
schemas, and so of the code.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
Key = tuple[str, Schema, bool]
"""Path, schema, and whether it is required."""

HEAD = """\
# Configuration reference

Every key of both programs, written by `make schemas` from the code; do not edit. [Configuration](configuration.md)
tells what to think of. A mapping that has defaults for all its keys may be left out or be empty. Durations are
written as the Collector's: `500ms`, `60s`, `1m30s`. An exporter may be named `type/name`, so that there may be
several of one type.
"""

TABLE_HEAD = ("| key | type | default | allowed | meaning |", "|---|---|---|---|---|")
NO_DEFAULT = "required"


def render_reference(schemas: Mapping[str, Schema]) -> str:
    """Return the page for the schemas of the programs, by name."""
    lines = [HEAD]
    for program, schema in schemas.items():
        lines += [f"## {program}", ""]
        keys = {
            name: list(list_keys(name, child, is_required=name in schema["required"]))
            for name, child in schema["properties"].items()
        }
        single = [rows[0] for rows in keys.values() if len(rows) == 1]
        tables = {"single keys": single, **{f"`{name}`": rows for name, rows in keys.items() if len(rows) > 1}}
        for title, rows in tables.items():
            lines += [f"### {program}: {title}", "", *TABLE_HEAD, *map(_render_row, rows), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def list_keys(path: str, schema: Schema, *, is_required: bool) -> Iterator[Key]:
    """Yield every key from this one down with its schema, mappings before what is in them."""
    yield path, schema, is_required
    inner = _skip_null(schema)
    for name, child in inner.get("properties", {}).items():
        yield from list_keys(f"{path}.{name}", child, is_required=name in inner.get("required", ()))
    for pattern, child in inner.get("patternProperties", {}).items():
        # What the schema has as ^otlp_http(/.+)?$.
        name = re.sub(r"\\(.)", r"\1", pattern.removeprefix("^").removesuffix("(/.+)?$"))
        yield from list_keys(f"{path}.{name}", child, is_required=False)


def _render_row(key: Key) -> str:
    path, schema, is_required = key
    default = NO_DEFAULT if is_required else _name_default(schema)
    cells = (f"`{path}`", _name_type(schema), default, _name_bounds(schema))
    text = schema.get("description", "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (*cells, text)) + " |"


def _skip_null(schema: Schema) -> Schema:
    """Return what a key may have beside null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _name_type(schema: Schema) -> str:
    inner = _skip_null(schema)
    if "enum" in inner:
        return "choice"
    kind = inner.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return f"list of {_name_type(inner['items'])}s"
    if kind == "object":
        return "mapping of texts" if isinstance(inner["additionalProperties"], Mapping) else "mapping"
    unit = inner.get("x-unit")
    if unit in {"duration", "host:port", "URL"}:
        return str(unit)
    name = {"string": "text", "boolean": "true, false"}.get(kind, str(kind))
    return f"{name}, {unit}" if unit else name


def _name_default(schema: Schema) -> str:
    if "default" not in schema:
        return ""
    default = schema["default"]
    if default in (None, "", [], {}):
        return "none"
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def _name_bounds(schema: Schema) -> str:
    inner = _skip_null(schema)
    inner = inner.get("items", inner)
    if "enum" in inner:
        return ", ".join(f"`{choice}`" for choice in inner["enum"])
    if "x-bounds" in inner:
        return str(inner["x-bounds"])
    return f"{inner['minimum']} to {inner['maximum']}" if "minimum" in inner else ""
