"""Messages and attributes of rtnetlink: whole, padded, cut short, and garbage."""

import random
import socket
import struct

import pytest

from node_probe.device_dump import list_devices
from node_probe.rtnetlink import Channel, Message, make_attribute, read_attributes, read_messages


def message(kind: int, body: bytes) -> bytes:
    data = struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body
    return data + bytes(-len(data) % 4)


def test_messages_of_a_datagram_are_told_apart() -> None:
    """Each has its own length, and begins at a multiple of four bytes."""
    data = message(16, b"abcde") + message(3, b"") + message(20, b"f")
    assert list(read_messages(data)) == [Message(16, 2, b"abcde"), Message(3, 2, b""), Message(20, 2, b"f")]


def test_attributes_are_read_as_they_are_made() -> None:
    """Values of every length, behind a header of any length; the flags of a type are no part of it."""
    values = {1: b"", 2: b"a", 3: b"abcd", 4: b"abcde"}
    data = b"head" + b"".join(make_attribute(kind, value) for kind, value in values.items())
    assert read_attributes(data, 4) == values
    assert read_attributes(make_attribute(0x8000 | 7, b"nested")) == {7: b"nested"}


@pytest.mark.parametrize(
    "read", [read_attributes, lambda data: list(read_messages(data))], ids=["attributes", "messages"]
)
def test_garbage_ends(read: type) -> None:
    """Lengths that say too much, too little or nothing lead neither beyond the data nor round in a circle."""
    rng = random.Random(7)  # noqa: S311 - a repeatable sequence
    whole = message(16, make_attribute(3, b"eth0")) * 3
    for cut in range(len(whole)):
        read(whole[:cut])
    for _ in range(500):
        read(rng.randbytes(rng.randrange(80)))
    read(bytes(80))


def test_kernels_refusal_is_an_error() -> None:
    """A question that the kernel cannot answer raises with its number, and the channel goes on."""
    route = struct.pack("=8BI", socket.AF_INET, 32, *bytes(6), 0) + make_attribute(1, bytes([240, 0, 0, 1]))
    with Channel() as channel:
        with pytest.raises(OSError, match="rtnetlink"):
            channel.ask(0xFFF0, bytes(16))
        with pytest.raises(OSError, match="rtnetlink"):
            channel.ask(26, route[:8])
        assert channel.dump(18, 16, bytes(16))


def test_devices_are_listed_without_rights() -> None:
    """The loopback is there in every namespace."""
    assert "lo" in {device.name for device in list_devices()}
