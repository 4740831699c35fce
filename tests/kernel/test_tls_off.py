"""Unless flows are asked for, nothing of them is there."""

import pytest

from node_probe.programs import CALLED_FOR_FLOWS, MAPS_FOR_FLOWS
from tests.kernel.bpf_harness import Harness
from tests.kernel.tls_talk import TlsConnection

pytestmark = pytest.mark.bpf


def test_nothing_is_there_unless_asked_for(bpf: Harness, port: int) -> None:
    """Programs for headers have neither program nor table, and leave no more than a count of what looks like TLS."""
    for name in (CALLED_FOR_FLOWS, *MAPS_FOR_FLOWS):
        with pytest.raises(KeyError):
            bpf.fd(name)
    connection = TlsConnection(bpf, port).shake_hands()
    connection.talk(5)
    assert bpf.read_ring() == []
    assert bpf.counts() == {"tls_seen": 10}
