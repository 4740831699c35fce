"""What holds for all tests: signals work as in a terminal, however tests were started, and no verdict is of speed.

A shell without job control starts a background command with SIGINT ignored, and nohup ignores SIGHUP; both are
inherited, also by the programs under test. Generated cases may take as long as they do. And what is made once for
all: certificates, and compiled programs.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compiled import sharing
from tests.hopspan.certificates import Authority, Parties

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    """By default a generated case that takes 200 ms is a failure: on a busy machine any does."""
    if config.pluginmanager.hasplugin("hypothesispytest"):
        # Imported where cases are generated: it takes a quarter of a minute in the emulated machines, where none are.
        from hypothesis import HealthCheck, settings  # noqa: PLC0415

        settings.register_profile("hopspan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("hopspan")


@pytest.fixture(scope="session")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """Return two authorities, and a server's and a client's certificate of the first."""
    directory = tmp_path_factory.mktemp("certificates")
    ours, others = Authority(directory / "ours"), Authority(directory / "others")
    return Parties(ours, others, ours.issue("server"), ours.issue("node"))


@pytest.fixture(scope="session")
def compiled_once() -> Iterator[Path]:
    """Let all processes that tests start from now on compile the same programs once; return where these are kept."""
    with sharing.compiled_once() as folder:
        yield folder
