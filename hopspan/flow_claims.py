"""Claims on flows, as plugins send them to agents: the values and their bytes. A Hello is answered by batches.

Pure. Little-endian; layout version 1. A batch is the version (1 byte), 3 zeros, and entries of 96 bytes each:

    offset size field                      offset size field
    0      1    kind: 1 interval, 2 exact  16     16   trace id
    1      1    bits: 1 one at a time      32     8    parent id
    2      1    trace flags                40     16   client address
    3      1    direction (exact)          56     16   server address, zeros: any
    4      2    client port                72     8    start, epoch ns (interval)
    6      2    server port, 0: any        80     8    end, epoch ns (interval)
    8      4    sequence number (exact)    88     8    zeros
    12     4    TSval (exact)

A Hello is the version, then node name and clock id, each with its length in one byte before it.
"""

import struct
from collections.abc import Iterable
from typing import Any

import msgspec

WATCH_METHOD = "/hopspan.FlowClaims/Watch"
"""gRPC, server streaming, raw bytes: a Hello in, batches out until either side ends the stream."""

VERSION = 1
ENTRY_BYTES = 96
MAX_BATCH_CLAIMS = 500
"""Of a batch that is written: 48 KB, far below the 4 MiB that gRPC's clients take."""

ANY_ADDRESS = bytes(16)
MAX_TEXT_BYTES = 255
"""Of a node name or a clock id: what a length of one byte can say."""

REQUEST, RESPONSE = 0, 1
"""As in a transit's record."""

_HEAD = struct.Struct("<B3x")
_ENTRY = struct.Struct("<BBBBHHII16s8s16s16sQQ8x")
_INTERVAL, _EXACT = 1, 2
_ONE_AT_A_TIME = 1
_NO_TRACE_ID, _NO_SPAN_ID = bytes(16), bytes(8)


class ClaimError(ValueError):
    """The bytes are no Hello or batch of version 1; the text says what was wrong."""


class ClaimVersionError(ClaimError):
    """The version is one that this reader does not know."""


class Hello(msgspec.Struct, frozen=True):
    """What an agent tells of itself when it asks for claims."""

    node: str
    """The name under which it sends its transits."""
    clock_id: str
    """The kernel's boot id."""


class IntervalClaim(msgspec.Struct, frozen=True, gc=False):
    """Asks for the one request and the one response of a flow inside the interval of a CLIENT span."""

    trace_id: bytes
    parent_id: bytes
    trace_flags: int
    client_address: bytes
    """16 bytes, IPv4 mapped."""
    client_port: int
    server_address: bytes
    """16 bytes, IPv4 mapped; ANY_ADDRESS where the span does not name it."""
    server_port: int
    """0 where the span does not name it."""
    start_ns: int
    """Epoch nanoseconds, as the span has them."""
    end_ns: int
    is_one_at_a_time: bool = False
    """The protocol has one request at a time on a connection: HTTP/1.1."""


class ExactClaim(msgspec.Struct, frozen=True, gc=False):
    """Asks for the transit of one packet that another node has named."""

    trace_id: bytes
    parent_id: bytes
    trace_flags: int
    direction: int
    """REQUEST or RESPONSE."""
    client_address: bytes
    client_port: int
    seq: int
    tsval: int


Claim = IntervalClaim | ExactClaim


class Batch(msgspec.Struct, frozen=True):
    """What a batch holds."""

    claims: list[Claim]
    unknown: int
    """Entries of kinds, or with values, that this reader does not know."""


def encode_hello(hello: Hello) -> bytes:
    """Return the bytes of a Hello. Raises ClaimError where a text has more than 255 bytes."""
    return bytes([VERSION]) + _write_text(hello.node) + _write_text(hello.clock_id)


def decode_hello(data: bytes) -> Hello:
    """Return the Hello in `data`; what a later version may append is ignored. Raises ClaimError."""
    _check_version(data)
    node, position = _read_text(data, 1)
    clock_id, _ = _read_text(data, position)
    if not node:
        raise ClaimError("hello has no node name")
    return Hello(node, clock_id)


def encode_batch(claims: Iterable[Claim]) -> bytes:
    """Return the bytes of a batch."""
    return join_entries([encode_claim(claim) for claim in claims])


def join_entries(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a batch of claims that are encoded."""
    return _HEAD.pack(VERSION) + b"".join(entries)


def encode_claim(claim: Claim) -> bytes:
    """Return the entry of a claim, 96 bytes."""
    ids = (claim.trace_id, claim.parent_id, claim.client_address)
    if isinstance(claim, IntervalClaim):
        head = (_INTERVAL, _ONE_AT_A_TIME * claim.is_one_at_a_time, claim.trace_flags, 0)
        flow = (claim.client_port, claim.server_port, 0, 0)
        return _ENTRY.pack(*head, *flow, *ids, claim.server_address, claim.start_ns, claim.end_ns)
    head = (_EXACT, 0, claim.trace_flags, claim.direction)
    return _ENTRY.pack(*head, claim.client_port, 0, claim.seq, claim.tsval, *ids, ANY_ADDRESS, 0, 0)


def decode_batch(data: bytes) -> Batch:
    """Return the claims in `data`; entries that are not understood are counted. Raises ClaimError."""
    _check_version(data)
    if (len(data) - _HEAD.size) % ENTRY_BYTES or len(data) < _HEAD.size:
        raise ClaimError(f"batch has {len(data)} bytes, which is no number of entries")
    claims = [_decode(entry) for entry in _ENTRY.iter_unpack(data[_HEAD.size :])]
    known = [claim for claim in claims if claim is not None]
    return Batch(known, len(claims) - len(known))


def _decode(entry: tuple[Any, ...]) -> Claim | None:
    kind, bits, flags, direction, client_port, server_port, seq, tsval, *rest = entry
    trace_id, parent_id, client, server, start_ns, end_ns = rest
    if trace_id == _NO_TRACE_ID or parent_id == _NO_SPAN_ID:
        return None
    if kind == _INTERVAL and start_ns <= end_ns:
        flow = (client, client_port, server, server_port, start_ns, end_ns)
        return IntervalClaim(trace_id, parent_id, flags, *flow, bool(bits & _ONE_AT_A_TIME))
    if kind == _EXACT and direction in (REQUEST, RESPONSE):
        return ExactClaim(trace_id, parent_id, flags, direction, client, client_port, seq, tsval)
    return None


def _check_version(data: bytes) -> None:
    if not data:
        raise ClaimError("message is empty")
    if data[0] != VERSION:
        raise ClaimVersionError(f"version {data[0]}, this reader knows {VERSION}")


def _write_text(text: str) -> bytes:
    data = text.encode()
    if len(data) > MAX_TEXT_BYTES:
        raise ClaimError(f"text has more than {MAX_TEXT_BYTES} bytes")
    return bytes([len(data)]) + data


def _read_text(data: bytes, position: int) -> tuple[str, int]:
    length = data[position] if position < len(data) else 0
    end = position + 1 + length
    if end > len(data):
        raise ClaimError("hello is cut short")
    try:
        return data[position + 1 : end].decode(), end
    except UnicodeDecodeError as error:
        raise ClaimError("a text is not UTF-8") from error
