"""What holds for all tests: signals work as in a terminal, however tests were started, and no verdict is of speed.

A shell without job control starts a background command with SIGINT ignored, and nohup ignores SIGHUP; both are
inherited, also by the programs under test. Generated cases may take as long as they do. No module leaves files open.
And what is made once for all: certificates, and compiled programs.
"""

import faulthandler
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compiled import sharing
from tests.hopspan.certificates import Authority, Parties
from tests.open_files import OpenFile, find_left, list_open_files

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

_EXIT_TIMEOUT_S = 60.0
"""The interpreter waits for threads that a test left: without end, if one of them never ends."""

_STANDARD_ERROR = 2
"""The descriptor, whatever pytest has put in the stream's place."""

_OPEN_FOR_ALL: set[OpenFile] = set()
"""What was opened for more than one module."""


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    """Remember what a fixture of the whole run opens: it stays open behind the module that first asked for it."""
    is_for_all = fixturedef.scope in {"session", "package"}
    before = list_open_files() if is_for_all else set()
    result = yield
    if is_for_all:
        _OPEN_FOR_ALL.update(list_open_files() - before)
    return result


@pytest.fixture(scope="module", autouse=True)
def _close_files(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module that leaves many files open is named, before a run of all has more than it may."""
    before, failed = list_open_files(), request.session.testsfailed
    yield
    if request.session.testsfailed == failed:  # who fails may leave anything
        left = find_left(before | _OPEN_FOR_ALL)
        assert not left, f"this module leaves open: {left}"


def pytest_configure(config: pytest.Config) -> None:
    """By default a generated case that takes 200 ms is a failure: on a busy machine any does."""
    if config.pluginmanager.hasplugin("hypothesispytest"):
        # Imported where cases are generated: it takes a quarter of a minute in the emulated machines, where none are.
        from hypothesis import HealthCheck, settings  # noqa: PLC0415

        settings.register_profile("hopspan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("hopspan")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """A run whose threads do not end is a failure, and says where they are."""
    faulthandler.dump_traceback_later(_EXIT_TIMEOUT_S, exit=True, file=_STANDARD_ERROR)


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
