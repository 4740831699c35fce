"""docs/command.md has every option, field, verdict and exit code of the command, and no other option."""

import argparse
import re
import runpy
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.house.repository import ROOT
from traceview import __main__ as command
from traceview.comparison import Side, Verdict, compare_sets
from traceview.comparison_json import describe_comparison
from traceview.hop_samples import HopCollector
from traceview.options import EXIT_CODES, make_parser
from traceview.otlp_json import read_spans
from traceview.trace_json import describe_trace_json
from traceview.tree import group_traces

DOCS = (ROOT / "docs" / "command.md").read_text()
CHECKOUT = runpy.run_path(str(Path(__file__).with_name("make_checkout.py")))
SPANS = read_spans(line.encode() for line in CHECKOUT["build_lines"](1))


def list_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from list_options(inner)


def test_options() -> None:
    """Every option stands in the docs, and what looks like one there is one."""
    own = set(list_options(make_parser())) - {"--help", "--version"}
    assert own == set(re.findall(r"`(--[a-z-]+)", DOCS))


def list_keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from list_keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from list_keys(inner)


def test_fields() -> None:
    """Every field of the JSON stands in the docs."""
    (trace,) = group_traces(SPANS)
    collector = HopCollector()
    collector.add(SPANS)
    side = Side("x", collector.finish(by_nodes=True), ())
    found = [describe_trace_json(trace), describe_comparison(compare_sets(side.held, side.held), side, side)]
    assert {key for key in list_keys(found) if f"`{key}`" not in DOCS and f".{key}`" not in DOCS} == set()


def test_verdicts() -> None:
    """Every verdict is explained."""
    assert [verdict for verdict in Verdict if f"`{verdict}" not in DOCS] == []


def test_exit_codes() -> None:
    """`--help` and the docs list the same codes in the same words, and these are the command's."""
    listed = re.findall(r"^  (\d+)  (.*)$", EXIT_CODES, re.MULTILINE)
    plain = DOCS.replace("`", "")
    assert [code for code, text in listed if f"| {code} | {text} |" not in plain] == []
    own = {value for name, value in vars(command).items() if name.startswith("EXIT_") and isinstance(value, int)}
    assert own == {int(code) for code, _ in listed} | {130, 141}


def test_script() -> None:
    """What users install has a script of that name, which runs this."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["hopspan"].partition(":")
    assert getattr(import_module(module), function) is command.main
