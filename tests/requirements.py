"""What a test needs of the machine: skips with the reason that its check found; with everything required, fails."""

import importlib.util
import os
from typing import NoReturn

import pytest

REQUIRE_ALL = "HOPSPAN_REQUIRE_ALL"
"""Set to 1 where a skipped test is a failure."""


def lack(reason: str) -> NoReturn:
    """Skip the test for `reason`, or fail it where everything is required."""
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(f"required here, but {reason}")
    pytest.skip(reason)


def require_root() -> None:
    """Need the capabilities that root has."""
    if os.geteuid() != 0:
        lack("BPF and network namespaces need root")


def require_bcc() -> None:
    """Need the distribution's bcc."""
    if importlib.util.find_spec("bcc") is None:
        lack("bcc is missing (python3-bpfcc of the distribution)")
