"""Claims on real TLS between two pods: plain sockets speak it, agents keep what they saw, and a test claims it."""

import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hopspan.flow_claims import IntervalClaim
from testbed.deadline import wait_until
from testbed.namespace import open_socket
from testbed.topology import CATALOG, FRONTEND, NODES
from tests.hopspan.certificates import Authority
from tests.requirements import require_bcc
from tests.testbed.arrivals import DIRECTIONS, Arrival, read_arrivals
from tests.testbed.claiming_peer import ClaimingPeer, map_address, name_exactly
from tests.testbed.programs_under_test import running_probes

pytestmark = pytest.mark.testbed

EXCHANGES = 23
PORT = 24443
DEADLINE_S = 60.0
TRACE_ID = bytes(15) + b"\7"


def serve(listener: Any, pair: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    raw, _ = listener.accept()
    with context.wrap_socket(raw, server_side=True) as connection:
        while request := connection.recv(4096):
            connection.sendall(b"answer to " + request)


def converse(work_dir: Path) -> list[IntervalClaim]:
    """Exchange messages on one TLS connection; return the claim of each."""
    authority = Authority(work_dir / "authority")
    pair = authority.issue("server")
    claims = []
    with open_socket(CATALOG.namespace) as listener:
        listener.bind((str(CATALOG.address), PORT))
        listener.listen()
        server = threading.Thread(target=serve, args=(listener, pair))
        server.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(authority.ca_file)
        raw = open_socket(FRONTEND.namespace)
        raw.connect((str(CATALOG.address), PORT))
        with context.wrap_socket(raw) as connection:
            port = connection.getsockname()[1]
            for number in range(EXCHANGES):
                start_ns = time.time_ns()
                connection.sendall(b"request %d" % number)
                assert connection.recv(4096) == b"answer to request %d" % number
                claims.append(make_claim(number, port, start_ns, time.time_ns()))
        server.join(DEADLINE_S)
    return claims


def make_claim(number: int, port: int, start_ns: int, end_ns: int) -> IntervalClaim:
    ends = map_address(FRONTEND.address), port, map_address(CATALOG.address), PORT
    parent_id = (number + 1).to_bytes(8, "big")
    return IntervalClaim(TRACE_ID, parent_id, 1, *ends, start_ns, end_ns, is_one_at_a_time=True)


def wait_for_arrivals(peer: ClaimingPeer, count: int) -> list[Arrival]:
    wait_until(lambda: len(read_arrivals(peer.groups)) >= count, "the transits did not come", DEADLINE_S)
    return read_arrivals(peer.groups)


def test_claims_bring_both_sides(two_nodes_vxlan: None, tmp_path: Path) -> None:
    """Each exchange's request and response come from the client's node, then the very packets from the other one."""
    del two_nodes_vxlan
    require_bcc()
    with ClaimingPeer() as peer, running_probes(tmp_path, limited=False, contexts=("flow",)):
        wait_until(lambda: len(peer.agents) == len(NODES), "the agents do not ask for claims", DEADLINE_S)
        claims = converse(tmp_path)
        for node in NODES:
            peer.claim(node.name, *claims)
        # The first one may be hidden by session tickets.
        near = wait_for_arrivals(peer, 2 * (EXCHANGES - 1))
        assert {arrival.node for arrival in near} == {FRONTEND.node.name}
        check_order(near)
        peer.claim(CATALOG.node.name, *map(name_exactly, near))
        far = wait_for_arrivals(peer, 2 * len(near))[len(near) :]
        assert {arrival.node for arrival in far} == {CATALOG.node.name}
        assert {arrival.sending for arrival in far} == {arrival.sending for arrival in near}


def check_order(near: list[Arrival]) -> None:
    """Each claim has a request and then its response, and what was sent later has a higher sequence number."""
    for direction in DIRECTIONS:
        found = sorted((a.sending.parent_id, a.sending.seq) for a in near if a.sending.direction == direction)
        first = found[0][1]
        offsets = [(seq - first) % 2**32 for _, seq in found]
        assert offsets == sorted(set(offsets))
        assert len({parent_id for parent_id, _ in found}) == len(found) >= EXCHANGES - 1
