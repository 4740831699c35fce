"""Dashboard and alert rules as they are shipped."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.house.repository import ROOT

RULES_PATH = ROOT / "otel-config" / "prometheus" / "hopspan-rules.yaml"
DASHBOARD = json.loads((ROOT / "otel-config" / "grafana" / "hopspan.json").read_text())
RULES = yaml.safe_load(RULES_PATH.read_text())


def list_rules() -> Iterator[dict[str, Any]]:
    """Yield all rules, alerts and records alike."""
    for group in RULES["groups"]:
        yield from group["rules"]


def list_panels() -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def list_variables() -> list[dict[str, Any]]:
    """Return the variables that are asked of Prometheus."""
    return [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
