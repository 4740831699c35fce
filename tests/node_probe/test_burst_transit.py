"""Bursts as transits that are shown: who is taken for the client, and what other records become."""

from node_probe.burst_transit import read_any_transit
from node_probe.kernel_burst import decode_burst, is_follower
from node_probe.transit import Direction
from tests.node_probe.bursts import CLIENT, CLIENT_PORT, SERVER, make_burst
from tests.node_probe.records import make_record, read_transit


def test_side_with_the_higher_port_is_the_client() -> None:
    """Both directions of a flow have one client then, and all stamps."""
    for is_coming, direction in ((False, Direction.REQUEST), (True, Direction.RESPONSE)):
        record = make_burst(5, is_coming=is_coming, seq=7)
        burst, transit = decode_burst(record), read_any_transit(record)
        assert burst is not None
        assert transit is not None
        assert (transit.direction, transit.seq, transit.stamps) == (direction, 7, burst.stamps)
        assert (transit.client_address, transit.client_port, transit.server_address) == (CLIENT, CLIENT_PORT, SERVER)


def test_records_with_a_context_are_as_ever() -> None:
    """What has a context is decoded as it is."""
    assert read_any_transit(make_record()) == read_transit(make_record())


def test_followers_are_told_apart() -> None:
    """A follower is no message for sure, so it is not shown."""
    assert is_follower(make_burst(5, kind=2))
    assert not is_follower(make_burst(5))
    assert not is_follower(make_record())
