"""Claims on TLS of OpenSSL, whose servers send session tickets: what is claimed is what it is said to be."""

import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hopspan.flow_claims import IntervalClaim
from testbed.deadline import wait_until
from testbed.namespace import open_socket
from testbed.topology import CART, FRONTEND, NODES
from tests.hopspan.certificates import Authority
from tests.requirements import require_bcc
from tests.soak import scale
from tests.testbed.arrivals import Arrival, read_arrivals
from tests.testbed.claiming_peer import ClaimingPeer, map_address, name_exactly
from tests.testbed.encrypted_load import capturing
from tests.testbed.programs_under_test import running_probes
from tests.testbed.tls_truth import list_origins, read_conversations

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(600)]

CONNECTIONS = 23
EXCHANGES = 3
"""On each connection."""
CALLS_PER_CLAIM = 2
PORT = 24443
DEADLINE_S = 60.0
QUIET_S = 5.0
LEAST = {ssl.TLSVersion.TLSv1_2: 0.9, ssl.TLSVersion.TLSv1_3: 0.6}
"""Of the messages: with TLS 1.3 the first of a connection may be told from tickets, or not."""
HEAD_BYTES = 4096
PROTOCOLS = ["h" * length for length in range(1, 17)]
"""Of ALPN, by whose length tickets come to the end of a block of 16 bytes, so that two of a connection may differ."""


@dataclass
class Peers:
    """Two ends in two pods, their keys logged."""

    work_dir: Path
    version: ssl.TLSVersion

    def __post_init__(self) -> None:
        authority = Authority(self.work_dir / "authority")
        pair = authority.issue("server")
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(pair.cert_file, pair.key_file)
        self.server.set_alpn_protocols(PROTOCOLS)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.check_hostname = False
        self.client.load_verify_locations(authority.ca_file)
        self.client.minimum_version = self.client.maximum_version = self.version
        self.key_log = self.work_dir / "keys.log"
        self.client.keylog_filename = str(self.key_log)

    def serve(self, listener: socket.socket, connections: int) -> None:
        """Answer so many connections, one after the other."""
        for _ in range(connections):
            raw, _ = listener.accept()
            with self.server.wrap_socket(raw, server_side=True) as connection:
                while connection.recv(HEAD_BYTES):
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def talk(self, connections: int) -> list[IntervalClaim]:
        """Serve and ask over so many connections; return a claim of each exchange."""
        with open_socket(CART.namespace) as listener:
            listener.bind((str(CART.address), PORT))
            listener.listen()
            server = threading.Thread(target=self.serve, args=(listener, connections))
            server.start()
            claims = self.converse(connections)
            server.join(DEADLINE_S)
        return claims

    def converse(self, connections: int) -> list[IntervalClaim]:
        """Exchange messages; return their claims. Every other connection resumes the session before."""
        claims: list[IntervalClaim] = []
        session: Any = None
        for number in range(connections):
            self.client.set_alpn_protocols([PROTOCOLS[number // 2 % len(PROTOCOLS)]])
            start_ns = time.time_ns()  # as Envoy has it: the first request waits for the connection
            raw = open_socket(FRONTEND.namespace)
            raw.connect((str(CART.address), PORT))
            with self.client.wrap_socket(raw, session=session if number % 2 else None) as connection:
                for _ in range(EXCHANGES):
                    span = len(claims) + 1
                    head = f"GET / HTTP/1.1\r\ntraceparent: 00-{span:032x}-{span:016x}-01\r\n\r\n"
                    connection.sendall(head.encode())
                    assert connection.recv(HEAD_BYTES).startswith(b"HTTP/1.1 200")
                    claims.append(make_claim(span, raw_port(connection), start_ns))
                    start_ns = time.time_ns()
                session = connection.session
        return claims


def raw_port(connection: ssl.SSLSocket) -> int:
    port: int = connection.getsockname()[1]
    return port


def make_claim(span: int, port: int, start_ns: int) -> IntervalClaim:
    ends = map_address(FRONTEND.address), port, map_address(CART.address), PORT
    trace_id, parent_id = span.to_bytes(16, "big"), span.to_bytes(8, "big")
    return IntervalClaim(trace_id, parent_id, 1, *ends, start_ns, time.time_ns(), is_one_at_a_time=True)


@pytest.mark.parametrize("version", LEAST, ids=lambda version: version.name)
def test_what_is_claimed_is_of_its_request(two_nodes_vxlan: None, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """On both nodes; tickets are taken for no answer."""
    del two_nodes_vxlan
    require_bcc()
    peers, capture, connections = Peers(tmp_path, version), tmp_path / "frontend.pcap", scale(CONNECTIONS)
    with ClaimingPeer() as peer, running_probes(tmp_path, limited=False, contexts=("flow",)):
        wait_until(lambda: len(peer.agents) == len(NODES), "the agents do not ask for claims", DEADLINE_S)
        with capturing(tmp_path, capture, str(CART.address)):
            claims = peers.talk(connections)
            for node in NODES:
                peer.claim(node.name, *claims)
            peer.wait_until_quiet(QUIET_S, DEADLINE_S)
            near = read_arrivals(peer.groups)
        peer.claim(CART.node.name, *map(name_exactly, near))
        peer.wait_until_quiet(QUIET_S, DEADLINE_S)
        both = read_arrivals(peer.groups)
    found = list_origins(read_conversations(capture.read_bytes(), [PORT]), peers.key_log.read_text())
    origins = {origin[:-1] for origin in found}
    wrong = [arrival for arrival in both if find_origin(arrival) not in origins]
    text = f"{len(claims)} calls, {len(near)} near and {len(both) - len(near)} far transits, {len(wrong)} wrong"
    sys.stdout.write(f"\nOpenSSL, {version.name}: {text}\n")
    assert not wrong
    assert len(origins) >= CALLS_PER_CLAIM * len(claims)
    assert len(near) >= LEAST[version] * CALLS_PER_CLAIM * len(claims)
    assert len(both) == 2 * len(near)


def find_origin(arrival: Arrival) -> tuple[str | bytes | int, ...]:
    """Return the packet that a transit says it is: an Origin but its time."""
    sending = arrival.sending
    ids = sending.trace_id, sending.parent_id
    return (sending.direction, *ids, sending.client_port, sending.seq, sending.tsval)
