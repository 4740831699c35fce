"""Certificates, made once for all tests of TLS."""

import pytest

from tests.hopspan.certificates import Authority, Parties


@pytest.fixture(scope="session")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """Return two authorities, and a server's and a client's certificate of the first."""
    directory = tmp_path_factory.mktemp("certificates")
    ours, others = Authority(directory / "ours"), Authority(directory / "others")
    return Parties(ours, others, ours.issue("server"), ours.issue("node"))
