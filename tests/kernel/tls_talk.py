"""Speaks TLS by hand: records of chosen lengths, on connections whose packets pass the points, and their bursts."""

from collections.abc import Sequence

from node_probe.kernel_burst import Burst, decode_burst
from tests.kernel.bpf_harness import Harness
from tests.kernel.http2_talk import at_point
from tests.kernel.packets import ACK, CLIENT, SEQ, SERVER, TIMESTAMPS, internet, tcp

SERVER_PORT = 15443

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, FINISHED = 1, 2, 20

MOVED = ("transits_started", "transits_emitted", "tls_seen")
"""Counters of what other tests look at."""


def record(length: int, kind: int = APPLICATION_DATA, *, minor: int = 3, first: int = 0xA5) -> bytes:
    """Return a record with `length` bytes behind its head, the first of which is given."""
    return bytes([kind, 3, minor]) + length.to_bytes(2, "big") + (bytes([first]) + b"\x5a" * length)[:length]


def records(*lengths: int) -> bytes:
    """Return records of application data, one behind the other."""
    return b"".join(map(record, lengths))


def hello(kind: int) -> bytes:
    """Return a record that holds the first message of the client or the server."""
    return record(300, HANDSHAKE, minor=1, first=kind)


def read_bursts(bpf: Harness) -> list[Burst]:
    """Return what came by the ring since the last call, all of it of TLS."""
    bursts = [decode_burst(data) for data in bpf.read_ring()]
    told = [burst for burst in bursts if burst is not None]
    assert len(told) == len(bursts)
    return told


def count_flows(bpf: Harness) -> dict[str, int]:
    """Return what was counted, but for transits as such."""
    return {reason: count for reason, count in bpf.counts().items() if reason not in MOVED}


class TlsConnection:
    """Both sides of one connection, each with the number of its next byte. Nothing is known of it at first."""

    def __init__(
        self,
        bpf: Harness,
        port: int,
        *,
        client: str = CLIENT,
        server: str = SERVER,
        backend: str | None = None,
        seq: int = SEQ,
        ack: int = ACK,
    ) -> None:
        """`backend` is the server's address in its own packets' way, where DNAT comes before their first point."""
        self.bpf, self.port = bpf, port
        self.client, self.server, self.backend = client, server, backend or server
        self.client_seq, self.server_seq = seq % 2**32, ack % 2**32

    def shake_hands(self) -> "TlsConnection":
        """Let both sides say what connections begin with, and forget what was counted."""
        self.ask(hello(CLIENT_HELLO))
        self.answer(hello(SERVER_HELLO))
        self.ask(record(1, CHANGE_CIPHER_SPEC, first=1))
        assert read_bursts(self.bpf) == []
        self.bpf.forget_counts()
        return self

    def ask(self, payload: bytes, *programs: str, seq: int | None = None, options: bytes = TIMESTAMPS) -> int:
        """Let the client say a segment, past a first and last point or those named; return its number.

        With `seq` it is one that was sent before.
        """
        first = self.client_seq if seq is None else seq
        segment = tcp(payload, (self.port, SERVER_PORT), first, self.server_seq, options)
        frame = internet(segment, 6, self.client, self.server)
        self._pass(frame, programs or ("pod_egress", "pod_ingress"))
        if seq is None:
            self.client_seq = (first + len(payload)) % 2**32
        return first

    def answer(self, payload: bytes, *programs: str, seq: int | None = None, options: bytes = TIMESTAMPS) -> int:
        """Let the server say a segment, past a first and last point or those named; return its number."""
        first = self.server_seq if seq is None else seq
        segment = tcp(payload, (SERVER_PORT, self.port), first, self.client_seq, options)
        frame = internet(segment, 6, self.backend, self.client)
        self._pass(frame, programs or ("nic_ingress", "pod_ingress"))
        if seq is None:
            self.server_seq = (first + len(payload)) % 2**32
        return first

    def talk(self, rounds: int = 1) -> None:
        """Let requests and responses go by."""
        for _ in range(rounds):
            self.ask(records(100))
            self.answer(records(200))

    def _pass(self, frame: bytes, programs: Sequence[str]) -> None:
        for program in programs:
            self.bpf.watch(program, at_point(program, frame))
