"""Listening sockets: all addresses on one port or none, and how many connections there may be."""

import resource
import socket

import pytest

from collector_plugin.http_listener import MAX_CONNECTIONS, ConnectionCount, find_connection_limit, listen
from hopspan.errors import HopspanError
from hopspan.values import Endpoint
from tests.requirements import lack


def require_ipv6() -> None:
    """Need ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        lack("this machine has no IPv6")


def test_name_with_two_addresses_has_one_port() -> None:
    """Also where the system chooses it."""
    listeners = listen(Endpoint("localhost", 0), "key")
    ports = {listener.getsockname()[1] for listener in listeners}
    addresses = {listener.getsockname()[0] for listener in listeners}
    for listener in listeners:
        listener.close()
    assert len(ports) == 1
    assert "127.0.0.1" in addresses
    assert addresses <= {"127.0.0.1", "::1"}


def test_one_taken_address_is_enough_to_refuse() -> None:
    """Else clients of one address would find us, and those of the other somebody else; nothing is left open."""
    require_ipv6()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(HopspanError, match=rf"^key: cannot listen on localhost:{port}: Address already in use"):
            listen(Endpoint("localhost", port), "key")
        with socket.socket(socket.AF_INET6) as free:
            free.bind(("::1", port))


def test_any_address_is_of_both_families() -> None:
    """`[::]` is for IPv4 too, as everywhere."""
    require_ipv6()
    (listener,) = listen(Endpoint("::", 0), "key")
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_address_of_another_machine_is_refused(host: str) -> None:
    """With the system's reason."""
    with pytest.raises(HopspanError, match=r"^key: cannot listen on .*: (Cannot assign|Address family)"):
        listen(Endpoint(host, 0), "key")


def test_limit_leaves_files_for_others() -> None:
    """A quarter of the files that the process may open: receivers are two, and exporters need some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        limit = find_connection_limit()
        soft_now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft_now == hard
        assert limit == (MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, hard // 4))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_each_connection_is_counted_once() -> None:
    """However it ends."""
    count = ConnectionCount(2)
    assert [count.open() for _ in range(3)] == [True, True, False]
    count.fail()
    count.close()
    assert (count.now, count.over_limit, count.handshakes_failed) == (0, 1, 1)
    assert count.open()
