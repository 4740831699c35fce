"""Alert rules and dashboard before the real promtool: all is read, and each alert comes when it should alone."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.peers import find_promtool
from tests.house.repository import ROOT
from tests.otel_config.monitoring import RULES, RULES_PATH, list_panels, list_rules, list_variables
from tests.requirements import lack

CASES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "tests" / "peers" / "alerts.yaml").read_text())
ALERTS = {rule["alert"]: rule for rule in list_rules() if "alert" in rule}
EVERY = "1m"

LABEL = re.compile(r"{{ \$labels\.(\w+) }}")
LABEL_VALUES = re.compile(r"label_values\((.+), \w+\)")


def run_promtool(*arguments: str | Path) -> str:
    """Return what promtool said; a finding fails."""
    program = find_promtool()
    if program is None:
        lack("promtool is not built (make peers)")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_rules(path: Path) -> str:
    """Let promtool read a file of rules, with all its advice."""
    return run_promtool("check", "rules", "--lint=all", "--lint-fatal", path)


def write_yaml(path: Path, value: object) -> Path:
    path.write_text(yaml.safe_dump(value))
    return path


@pytest.mark.peers
def test_rules_are_read() -> None:
    """Expressions, durations and templates are what Prometheus takes."""
    assert f"SUCCESS: {len(list(list_rules()))} rules found" in check_rules(RULES_PATH)


@pytest.mark.peers
def test_rule_with_a_slip_is_found(tmp_path: Path) -> None:
    """Else the two tests beside this one would say nothing."""
    text = RULES_PATH.read_text()
    path = tmp_path / "rules.yaml"
    path.write_text(text.replace("sum by (", "sum of (", 1))
    with pytest.raises(AssertionError, match="could not parse expression"):
        check_rules(path)


@pytest.mark.peers
def test_every_expression_of_the_dashboard_is_read(tmp_path: Path) -> None:
    """As rules that record what its panels show, with what Grafana puts in for its variables."""
    expressions = [target["expr"] for panel in list_panels() for target in panel["targets"]]
    for variable in list_variables():
        found = LABEL_VALUES.fullmatch(variable["query"])
        assert found, variable["query"]
        expressions.append(found[1])
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions)
    ]
    path = write_yaml(tmp_path / "rules.yaml", {"groups": [{"name": "dashboard", "rules": rules}]})
    assert f"SUCCESS: {len(rules)} rules found" in check_rules(path)


def test_every_alert_has_its_case() -> None:
    """Both what it is for, and what it is not for."""
    assert list(CASES) == list(ALERTS)
    for case in CASES.values():
        # A zero in hexadecimal would be a number to YAML.
        assert all(isinstance(values, str) for side in ("bad", "healthy") for values in case[side].values())
        assert case["bad"]
        assert case["healthy"]


@pytest.mark.peers
@pytest.mark.parametrize("name", ALERTS)
def test_alert_comes_when_it_should(name: str, tmp_path: Path) -> None:
    """Not before it lasts, and not of a healthy cluster."""
    rule, case = ALERTS[name], CASES[name]
    alert = {
        "exp_labels": {**rule["labels"], **case["labels"]},
        "exp_annotations": {
            "summary": case["summary"],
            "description": LABEL.sub(lambda found: str(case["labels"][found[1]]), rule["annotations"]["description"]),
        },
    }
    tests = [
        make_test(case["bad"], {"alertname": name, "eval_time": case["at"], "exp_alerts": [alert]}),
        make_test(case["bad"], {"alertname": name, "eval_time": case.get("early", "2m"), "exp_alerts": []}),
        make_test(case["healthy"], {"alertname": name, "eval_time": case["at"], "exp_alerts": []}),
    ]
    rules = write_yaml(tmp_path / "rules.yaml", RULES)
    path = write_yaml(
        tmp_path / "tests.yaml", {"rule_files": [str(rules)], "evaluation_interval": EVERY, "tests": tests}
    )
    assert "SUCCESS" in run_promtool("test", "rules", path)


def make_test(series: dict[str, str], expected: dict[str, Any]) -> dict[str, Any]:
    """Return one test as promtool reads it."""
    samples = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": EVERY, "input_series": samples, "alert_rule_test": [expected]}
