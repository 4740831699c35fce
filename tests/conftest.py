"""What holds for all tests: signals work as in a terminal, however the tests were started.

A shell without job control starts a background command with SIGINT ignored, and nohup ignores SIGHUP; both are
inherited, also by the programs under test. And certificates, made once for all tests of TLS.
"""

import signal

import pytest

from tests.hopspan.certificates import Authority, Parties

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """Return two authorities, and a server's and a client's certificate of the first."""
    directory = tmp_path_factory.mktemp("certificates")
    ours, others = Authority(directory / "ours"), Authority(directory / "others")
    return Parties(ours, others, ours.issue("server"), ours.issue("node"))
