"""The JSON schemas of the configuration: as the code has it, and of one mind with the reader."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from collector_plugin.config import PluginConfig
from hopspan.config import parse_config
from node_probe.config import ProbeConfig
from tests.house.repository import ROOT, tracked_files
from tests.house.schemas import REFERENCE, SCHEMAS, render_configuration, render_schema

PROBE = ROOT / "otel-config" / "node-probe.schema.json"
PLUGIN = ROOT / "otel-config" / "collector-plugin.schema.json"
EXAMPLES = {path: path.with_name(path.name.replace(".schema.json", ".yaml")) for path in SCHEMAS}


@pytest.mark.parametrize("path", list(SCHEMAS), ids=lambda path: path.name)
def test_committed_schema_is_that_of_the_code(path: Path) -> None:
    """`make schemas` writes what is committed."""
    assert path.read_text(encoding="utf-8") == render_schema(path), "run `make schemas`"


def test_committed_reference_is_that_of_the_schemas() -> None:
    """`make schemas` writes the page of all keys."""
    assert REFERENCE.read_text(encoding="utf-8") == render_configuration(), "run `make schemas`"


@pytest.mark.parametrize("path", list(SCHEMAS), ids=lambda path: path.name)
def test_example_is_valid_and_names_its_schema(path: Path) -> None:
    """The commented example passes, and tells editors where its schema lies."""
    text = EXAMPLES[path].read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[path])
    jsonschema.validate(yaml.safe_load(text), SCHEMAS[path])
    assert f"# yaml-language-server: $schema={path.name}" in text.splitlines()


@pytest.mark.parametrize("path", tracked_files("otel-config/plugin-*.yaml"), ids=lambda path: path.name)
def test_plugin_of_each_deployment_is_valid(path: Path) -> None:
    """A deployment's file passes the plugin's schema, and names it."""
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), SCHEMAS[PLUGIN])
    assert f"# yaml-language-server: $schema={PLUGIN.name}" in text.splitlines()


@pytest.mark.parametrize("path", list(SCHEMAS), ids=lambda path: path.name)
def test_every_key_is_described(path: Path) -> None:
    """An editor shows a text for each key, and what holds if a value is not given."""
    keys = [key for key in list_keys(SCHEMAS[path]) if not key[0].endswith("$")]
    assert not [name for name, schema in keys if "description" not in schema]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("exporters: {otlp: {endpoint: 'a:1'}}\nwindw: 60s", "windw"),
        ("exporters: {otlp: {endpoint: 'http://a:1'}}", "http://a:1"),
        ("exporters: {otlp: {endpoint: 'a:1', timeout: 5}}", "5 is not"),
        ("exporters: {otlp: {}}", "endpoint"),
        ("exporters: {kafka: {endpoint: 'a:1'}}", "kafka"),
        ("exporters: {otlp: {endpoint: 'a:1'}}\nspans: {max_per_trace: 0}", "0 is less"),
        ("exporters: {otlp: {endpoint: 'a:1'}}\nmode: beside", "beside"),
    ],
)
def test_faults_are_seen_by_the_schema(text: str, key: str) -> None:
    """Unknown keys, wrong types, missing and impossible values."""
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate(yaml.safe_load(text), SCHEMAS[PLUGIN])
    assert key in json.dumps([error.message for error in [caught.value, *(caught.value.context or ())]])


@pytest.mark.parametrize(("kind", "path"), [(ProbeConfig, PROBE), (PluginConfig, PLUGIN)], ids=["probe", "plugin"])
def test_defaults_are_those_of_the_code(kind: type[msgspec.Struct], path: Path) -> None:
    """A file in which every key has the default that its schema tells is read as one that has only what it must."""
    exporters = {"otlp": {"endpoint": "a:1"}}
    written = {**write_defaults(SCHEMAS[path]), "exporters": exporters}
    assert len(written) > len(exporters)
    assert parse_config(json.dumps(written), kind) == parse_config(json.dumps({"exporters": exporters}), kind)


def write_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping with every key that has a default; below those that are absent by default, none."""
    keys = schema.get("properties", {}).items()
    return {name: child["default"] if "default" in child else write_defaults(child) for name, child in keys}


def list_keys(schema: dict[str, object], path: str = "") -> list[tuple[str, dict[str, object]]]:
    """Return every key of the schema with its own schema."""
    keys: list[tuple[str, dict[str, object]]] = []
    for group in ("properties", "patternProperties"):
        children = schema.get(group, {})
        assert isinstance(children, dict)
        for name, child in children.items():
            keys += [(f"{path}.{name}", child), *list_keys(child, f"{path}.{name}")]
    return keys
