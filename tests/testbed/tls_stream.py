"""Decrypts TLS 1.2 and 1.3 by the client's key log: both streams of a connection -> their records in plain text.

Pure. AES-GCM and ChaCha20 alone. Written from RFC 5246, RFC 5288, RFC 7905 and RFC 8446; uses nothing of the product.
"""

import hmac
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

HANDSHAKE, APPLICATION_DATA, ALERT = 22, 23, 21
_CHANGE_CIPHER_SPEC = 20
_CLIENT_HELLO, _SERVER_HELLO, _KEY_UPDATE = 1, 2, 24
_TLS_1_3 = b"\x03\x04"
_SUPPORTED_VERSIONS = 43
_HEADER_BYTES = 5
_RANDOM = slice(6, 38)
"""In both hellos: behind type, length and version."""


class Suite(NamedTuple):
    """A cipher suite: the key's length, the hash, and whether it is ChaCha20."""

    key_bytes: int
    hash_name: str
    is_chacha: bool = False


_SUITES = {
    **dict.fromkeys((0x1301, 0xC02B, 0xC02F), Suite(16, "sha256")),
    **dict.fromkeys((0x1302, 0xC02C, 0xC030), Suite(32, "sha384")),
    **dict.fromkeys((0x1303, 0xCCA8, 0xCCA9), Suite(32, "sha256", is_chacha=True)),
}


class Record(NamedTuple):
    """A record: its own place in the stream, its type within, and its plain text."""

    start: int
    kind: int
    text: bytes


class KeyLog:
    """The lines of an SSLKEYLOGFILE, by label and client random."""

    def __init__(self, text: str) -> None:
        """Read all whole lines."""
        lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
        self._secrets = {(fields[0], bytes.fromhex(fields[1])): bytes.fromhex(fields[2]) for fields in lines}

    def find(self, label: str, client_random: bytes) -> bytes:
        """Return a secret. Raises KeyError."""
        return self._secrets[label, client_random]


def decrypt_connection(streams: Mapping[str, bytes], keys: KeyLog) -> dict[str, list[Record]]:
    """Return the records behind the handshake of streams `request` and `response`. Raises KeyError, ValueError."""
    hellos = {name: _find_hello(stream) for name, stream in streams.items()}
    client_random, server_random = hellos["request"][_RANDOM], hellos["response"][_RANDOM]
    suite_id, is_newest = _read_server_hello(hellos["response"])
    suite = _SUITES[suite_id]
    if is_newest:
        return {
            name: list(_decrypt_newest(stream, _list_secrets(name, keys, client_random), suite))
            for name, stream in streams.items()
        }
    master = keys.find("CLIENT_RANDOM", client_random)
    iv_bytes = 12 if suite.is_chacha else 4
    block = _expand_1_2(master, server_random + client_random, 2 * (suite.key_bytes + iv_bytes), suite)
    parts = struct.unpack(f"{suite.key_bytes}s{suite.key_bytes}s{iv_bytes}s{iv_bytes}s", block)
    return {
        name: list(_decrypt_1_2(streams[name], parts[side], parts[2 + side], suite))
        for side, name in enumerate(("request", "response"))
    }


def _list_secrets(name: str, keys: KeyLog, client_random: bytes) -> tuple[bytes, bytes]:
    side = "CLIENT" if name == "request" else "SERVER"
    return (
        keys.find(f"{side}_HANDSHAKE_TRAFFIC_SECRET", client_random),
        keys.find(f"{side}_TRAFFIC_SECRET_0", client_random),
    )


def split_records(stream: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield place, header and body of each whole record."""
    position = 0
    while position + _HEADER_BYTES <= len(stream):
        header = stream[position : position + _HEADER_BYTES]
        end = position + _HEADER_BYTES + int.from_bytes(header[3:])
        if end > len(stream):
            return
        yield position, header, stream[position + _HEADER_BYTES : end]
        position = end


def _find_hello(stream: bytes) -> bytes:
    _, header, body = next(split_records(stream))
    if header[0] != HANDSHAKE or body[0] not in {_CLIENT_HELLO, _SERVER_HELLO}:
        raise ValueError("a stream does not begin with a hello")
    return body


def _read_server_hello(body: bytes) -> tuple[int, bool]:
    """Return the cipher suite, and whether the version is 1.3."""
    at = _RANDOM.stop + 1 + body[_RANDOM.stop]
    suite = int.from_bytes(body[at : at + 2])
    position, end = at + 5, at + 5 + int.from_bytes(body[at + 3 : at + 5])
    while position < end:
        kind, length = struct.unpack_from("!HH", body, position)
        if kind == _SUPPORTED_VERSIONS:
            return suite, body[position + 4 : position + 4 + length] == _TLS_1_3
        position += 4 + length
    return suite, False


def _open_aead(key: bytes, suite: Suite) -> AESGCM | ChaCha20Poly1305:
    return ChaCha20Poly1305(key) if suite.is_chacha else AESGCM(key)


def _mask(iv: bytes, number: int) -> bytes:
    return (int.from_bytes(iv) ^ number).to_bytes(len(iv))


def _decrypt_1_2(stream: bytes, key: bytes, iv: bytes, suite: Suite) -> Iterator[Record]:
    aead, number, is_encrypted = _open_aead(key, suite), 0, False
    for start, header, body in split_records(stream):
        if header[0] == _CHANGE_CIPHER_SPEC:
            is_encrypted = True
            continue
        if not is_encrypted:
            continue
        explicit = b"" if suite.is_chacha else body[:8]
        nonce = _mask(iv, number) if suite.is_chacha else iv + explicit
        length = len(body) - len(explicit) - 16
        bound = struct.pack("!Q", number) + header[:3] + struct.pack("!H", length)
        text = aead.decrypt(nonce, body[len(explicit) :], bound)
        number += 1
        if header[0] != HANDSHAKE:
            yield Record(start, header[0], text)


def _decrypt_newest(stream: bytes, secrets: tuple[bytes, bytes], suite: Suite) -> Iterator[Record]:
    """Go from the handshake's keys to those of the data once the message Finished was there, and to their updates."""
    secret, following = secrets
    (key, iv), number, flight = _derive(secret, suite), 0, b""
    aead = _open_aead(key, suite)
    is_handshake = True
    for start, header, body in split_records(stream):
        if header[0] != APPLICATION_DATA:
            continue
        padded = aead.decrypt(_mask(iv, number), body, header).rstrip(b"\0")
        number += 1
        text, kind = padded[:-1], padded[-1]
        if kind != HANDSHAKE:
            yield Record(start, kind, text)
            continue
        if is_handshake:
            flight += text
            if not _has_finished(flight):
                continue
            secret, is_handshake = following, False
        elif text[0] == _KEY_UPDATE:
            secret = _expand(secret, b"traffic upd", len(secret), suite)
        else:
            yield Record(start, kind, text)
            continue
        (key, iv), number = _derive(secret, suite), 0
        aead = _open_aead(key, suite)


def _has_finished(flight: bytes) -> bool:
    position = 0
    while position + 4 <= len(flight):
        length = int.from_bytes(flight[position + 1 : position + 4])
        if flight[position] == 20 and position + 4 + length <= len(flight):
            return True
        position += 4 + length
    return False


def _derive(secret: bytes, suite: Suite) -> tuple[bytes, bytes]:
    return _expand(secret, b"key", suite.key_bytes, suite), _expand(secret, b"iv", 12, suite)


def _expand(secret: bytes, label: bytes, length: int, suite: Suite) -> bytes:
    """Return HKDF-Expand-Label with an empty context; one block of the hash is always enough here."""
    info = struct.pack("!HB", length, len(label) + 6) + b"tls13 " + label + b"\0"
    return hmac.digest(secret, info + b"\1", suite.hash_name)[:length]


def _expand_1_2(secret: bytes, seed: bytes, length: int, suite: Suite) -> bytes:
    """Return the key block by TLS 1.2's PRF."""
    seed = b"key expansion" + seed
    chained, block = seed, b""
    while len(block) < length:
        chained = hmac.digest(secret, chained, suite.hash_name)
        block += hmac.digest(secret, chained + seed, suite.hash_name)
    return block[:length]
