"""What a command does before its program runs: it reads the configuration, or says what is wrong with it.

Knows no program. A fault is a line on standard error, `PROGRAM: FILE: KEY: REASON`; the exit codes stand here too.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hopspan.config import ConfigError, read_config
from hopspan.version import VERSION

EXIT_OK = 0
EXIT_FAILED = 1
"""It was told what to do, and cannot do it."""
EXIT_MISUSED = 2
"""It was told something wrong: argparse's own code."""

T = TypeVar("T")


def add_options(parser: argparse.ArgumentParser, *, config_required: bool) -> None:
    """Let the parser know `--config`, `--check-config` and `--version`."""
    parser.add_argument(
        "--config", required=config_required, type=Path, metavar="FILE", help="the configuration, a YAML file"
    )
    parser.add_argument("--check-config", action="store_true", help="check the configuration and do nothing else")
    parser.add_argument("--version", action="version", version=f"{parser.prog} {VERSION}")


def run_configured(program: str, options: argparse.Namespace, kind: type[T], run: Callable[[T], int]) -> int:
    """Read the file `options.config` as the Struct `kind`, and run with it unless it was only to be checked.

    Return the exit code: what `run` returns, EXIT_OK after a check, EXIT_MISUSED where the file has faults.
    """
    try:
        config = read_config(options.config, kind)
    except ConfigError as error:
        for fault in error.faults:
            sys.stderr.write(f"{program}: {options.config}: {fault}\n")
        return EXIT_MISUSED
    if options.check_config:
        sys.stdout.write(f"{options.config}: OK\n")
        return EXIT_OK
    return run(config)
