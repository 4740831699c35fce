"""`node-probe top` of calls over HTTP/2, whose contexts the kernel hands out in Huffman code."""

import json
import secrets
import signal
import struct
from collections.abc import Mapping

import pytest

from tests.kernel.piped_top import EXCHANGES, Piped, read_counts
from tests.kernel.talking_node import Connection, TalkingNode, read_until
from tests.node_probe.coded_contexts import encode

pytestmark = pytest.mark.bpf


def test_calls_over_http2_are_rows_like_others(talking_node: TalkingNode) -> None:
    """Their contexts come in Huffman code; two that share a packet count twice, and one is not sampled."""
    top = Piped(talking_node, "--once", "--json", "--interval", "3600")
    with talking_node.connection() as connection:
        for stream in range(1, 2 * EXCHANGES + 1, 2):
            call(connection, {stream: "01"})
        call(connection, {1001: "01", 1003: "01"})
        call(connection, {1005: "02"})
    code, output, errors = top.end(signal.SIGTERM)
    assert (code, errors) == (0, "")
    found = json.loads(output)
    calls = EXCHANGES + 2
    assert (found["transits"], found["lost"]) == (2 * calls, {"unsampled": 2})
    expected = {"host-forward": calls, "veth-hop": 2 * calls}
    counts = {(way, hop): count for way in ("request", "response") for hop, count in expected.items()}
    assert read_counts(found["rows"]) == counts
    assert set(read_counts(found["rows"], "attempts").values()) == {0}


def call(connection: Connection, flags_of_streams: Mapping[int, str]) -> None:
    """Let the client call on these streams, in one packet, with flags for each, and the server answer in another."""
    method, name, ok = b"\x83", b"\x40\x88" + encode("traceparent"), b"\x88"
    requests = b""
    for stream, flags in flags_of_streams.items():
        value = encode(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{flags}")
        requests += write_headers(stream, method + name + bytes([0x80 | len(value)]) + value)
    connection.client.sendall(requests)
    read_until(connection.server, requests)
    answers = b"".join(write_headers(stream, ok) for stream in flags_of_streams)
    connection.server.sendall(answers)
    read_until(connection.client, answers)


def write_headers(stream: int, block: bytes) -> bytes:
    """Return a HEADERS frame that ends its stream (RFC 9113 section 6.2)."""
    return struct.pack("!I", len(block))[1:] + struct.pack("!BBI", 1, 0x5, stream) + block
