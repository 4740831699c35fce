"""The JSON schemas of the configuration: as the code has it, and of one mind with the reader."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.house.repository import ROOT, tracked_files
from tests.house.schemas import SCHEMAS, render_schema

PLUGIN = ROOT / "otel-config" / "collector-plugin.schema.json"
EXAMPLES = {path: path.with_name(path.name.replace(".schema.json", ".yaml")) for path in SCHEMAS}


@pytest.mark.parametrize("path", list(SCHEMAS), ids=lambda path: path.name)
def test_committed_schema_is_that_of_the_code(path: Path) -> None:
    """`make schemas` writes what is committed."""
    assert path.read_text(encoding="utf-8") == render_schema(path), "run `make schemas`"


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
    """An editor shows a text for each scalar key."""
    undescribed = [key for key, value in list_keys(SCHEMAS[path]) if "description" not in value and is_scalar(value)]
    assert not undescribed


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


def list_keys(schema: dict[str, object], path: str = "") -> list[tuple[str, dict[str, object]]]:
    """Return every key of the schema with its own schema."""
    keys: list[tuple[str, dict[str, object]]] = []
    for group in ("properties", "patternProperties"):
        children = schema.get(group, {})
        assert isinstance(children, dict)
        for name, child in children.items():
            keys += [(f"{path}.{name}", child), *list_keys(child, f"{path}.{name}")]
    return keys


def is_scalar(schema: dict[str, object]) -> bool:
    """Tell whether the key has a value of its own, not keys."""
    return "properties" not in schema and "patternProperties" not in schema
