"""What every command does with its configuration: run with it, say that it is good, or say what is wrong with it."""

import argparse
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hopspan.command import EXIT_MISUSED, EXIT_OK, add_options, run_configured
from hopspan.version import VERSION

OUTCOME = 7
"""What the made-up program ends with: no exit code of the helper's own."""


class Settings(msgspec.Struct, frozen=True):
    """A configuration with one key."""

    limit: int


def parse(*arguments: str, config_required: bool = True) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="some-program")
    add_options(parser, config_required=config_required)
    return parser.parse_args(arguments)


def record_runs(runs: list[Settings]) -> Callable[[Settings], int]:
    """Return a program that notes what it was run with."""

    def run(settings: Settings) -> int:
        runs.append(settings)
        return OUTCOME

    return run


CASES = [
    # text, whether only to check, exit code, runs, standard output, standard error; FILE stands for the path
    ("limit: 3", False, OUTCOME, [Settings(3)], "", ""),
    ("limit: 3", True, EXIT_OK, [], "FILE: OK\n", ""),
    ("limit: x", False, EXIT_MISUSED, [], "", "some-program: FILE: limit: expected int, got str\n"),
    ("limit: x", True, EXIT_MISUSED, [], "", "some-program: FILE: limit: expected int, got str\n"),
    (
        "limt: 3",
        False,
        EXIT_MISUSED,
        [],
        "",
        "some-program: FILE: limt: unknown key (did you mean limit?)\nsome-program: FILE: limit: missing\n",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_configuration_is_used_checked_or_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: tuple[str, bool, int, list[Settings], str, str],
) -> None:
    """The program runs with a good configuration alone; each fault is a line that names program, file and key."""
    text, check, code, expected_runs, output, errors = case
    path = tmp_path / "some.yaml"
    path.write_text(text)
    options = parse("--config", str(path), *(["--check-config"] if check else []))
    runs: list[Settings] = []
    assert run_configured("some-program", options, Settings, record_runs(runs)) == code
    assert runs == expected_runs
    captured = capsys.readouterr()
    assert captured.out == output.replace("FILE", str(path))
    assert captured.err == errors.replace("FILE", str(path))


def test_unreadable_file_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that leads nowhere is told, not thrown."""
    path = tmp_path / "absent.yaml"
    runs: list[Settings] = []
    assert run_configured("some-program", parse("--config", str(path)), Settings, record_runs(runs)) == EXIT_MISUSED
    assert runs == []
    assert capsys.readouterr().err == f"some-program: {path}: cannot be read: No such file or directory\n"


def test_file_may_be_optional(capsys: pytest.CaptureFixture[str]) -> None:
    """Where a command can do without a configuration, none is given; else it is asked for, with that exit code."""
    assert parse(config_required=False).config is None
    with pytest.raises(SystemExit) as ended:
        parse()
    assert ended.value.code == EXIT_MISUSED
    assert "required: --config" in capsys.readouterr().err


def test_version_is_told_with_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` is one line, and nothing else is needed."""
    with pytest.raises(SystemExit) as ended:
        parse("--version")
    assert ended.value.code == EXIT_OK
    assert capsys.readouterr().out == f"some-program {VERSION}\n"
