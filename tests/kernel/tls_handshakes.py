"""Real TLS between a client and a server of Python's ssl, over memory: what each side writes goes by as segments."""

import ssl
from pathlib import Path

from testbed.certificates import Pair
from tests.hopspan.certificates import Authority
from tests.kernel.tls_talk import TlsConnection

SEGMENT_BYTES = 1448
"""Of an Ethernet's 1,500, what headers and timestamps leave."""

VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


class Certificates:
    """An authority, and what it signed for both sides."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory / "tls")
        self.ca_file = authority.ca_file
        self.server, self.client = authority.issue("server"), authority.issue("client")


def make_context(
    certificates: Certificates, pair: Pair | None, version: str, *, server: bool, compatible: bool = True
) -> ssl.SSLContext:
    """Return the settings of one side; without `compatible` TLS 1.3 changes no cipher (RFC 8446 appendix D.4)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = VERSIONS[version]
    context.load_verify_locations(certificates.ca_file)
    if pair is not None:
        context.load_cert_chain(pair.cert_file, pair.key_file)
    if not compatible:
        context.options &= ~ssl.OP_ENABLE_MIDDLEBOX_COMPAT
    return context


class Side:
    """One side: its TLS, and what it has written and nobody read."""

    def __init__(self, context: ssl.SSLContext, *, server: bool) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        host = None if server else "localhost"
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=server, server_hostname=host)
        self.is_done = False

    def go_on(self) -> None:
        """Do what can be done of the handshake."""
        if self.is_done:
            return
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.is_done = True

    def read(self) -> bytes:
        """Return the data that came."""
        try:
            return self.tls.read(1 << 20)
        except ssl.SSLWantReadError:
            return b""


class Talk:
    """A connection on which both sides speak TLS."""

    def __init__(self, connection: TlsConnection, client: ssl.SSLContext, server: ssl.SSLContext) -> None:
        self.connection = connection
        self.client, self.server = Side(client, server=False), Side(server, server=True)

    def shake_hands(self) -> None:
        """Let both speak until both are done. What the server says last, as tickets, is left unsaid."""
        while not (self.client.is_done and self.server.is_done):
            self.client.go_on()
            self.say(self.client)
            self.server.go_on()
            if not self.client.is_done:
                self.say(self.server)

    def say(self, side: Side) -> list[bytes]:
        """Let the side send what it has written, and return the segments."""
        written = side.outgoing.read()
        segments = [written[at : at + SEGMENT_BYTES] for at in range(0, len(written), SEGMENT_BYTES)]
        for segment in segments:
            (self.connection.ask if side is self.client else self.connection.answer)(segment)
        other = self.server if side is self.client else self.client
        if written:
            other.incoming.write(written)
        return segments

    def ask(self, data: bytes) -> list[bytes]:
        """Let the client write, and return the segments."""
        self.client.tls.write(data)
        return self.say(self.client)

    def answer(self, data: bytes) -> list[bytes]:
        """Let the server write, and return the segments; tickets that are left come with them."""
        assert self.server.read()
        self.server.tls.write(data)
        return self.say(self.server)
