"""What holds for all tests: signals work as in a terminal, however tests were started, and no verdict is of speed.

A shell without job control starts a background command with SIGINT ignored, and nohup ignores SIGHUP; both are
inherited, also by the programs under test. Generated cases may take as long as they do. And certificates, made once
for all tests of TLS.
"""

import signal

import hypothesis
import pytest
from hypothesis import HealthCheck, settings

from tests.hopspan.certificates import Authority, Parties

# By default an example that takes 200 ms is a failure: on a busy machine any does.
settings.register_profile("hopspan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hopspan")

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# By default a case fails that takes 200 ms, as one does on a machine that is busy with others.
hypothesis.settings.register_profile("hopspan", deadline=None)
hypothesis.settings.load_profile("hopspan")


@pytest.fixture(scope="session")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """Return two authorities, and a server's and a client's certificate of the first."""
    directory = tmp_path_factory.mktemp("certificates")
    ours, others = Authority(directory / "ours"), Authority(directory / "others")
    return Parties(ours, others, ours.issue("server"), ours.issue("node"))
