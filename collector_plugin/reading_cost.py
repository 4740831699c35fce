"""What it takes in memory to read a body into objects, beside the body itself: estimated before, from its bytes.

Pure. Fitted to the growth of resident memory with bodies of 16 MiB of many shapes: spans as SDKs write them, and the
worst that the readers let in. Each estimate lies above what was measured.
"""

OBJECT_BYTES = 240
"""An object of JSON with its strings: 150 as a value in a list, 240 as an attribute with a key alone."""

ID_BYTES = 200
"""A span with its ids, or an endpoint."""

QUOTE_BYTES = 20
"""Half of a string of JSON, where keys of any name become strings too: in Zipkin's tags."""

ESCAPE_BYTES = 96
"""A backslash: where halves of surrogate pairs are mended each escape is a piece of its own, in a list."""

ASCII_COPIES, OTHER_COPIES = 2, 8
"""Of the text, as strings and as what is written. One character beyond 16 bits makes four bytes of each."""

PROTOBUF_COPIES = 12
"""Of Zipkin's protobuf, read field by field into dicts: 9 for spans as they are, 12 for tags without values."""


def estimate_json(data: bytes) -> int:
    """Return the bytes of memory that reading OTLP's JSON takes: 5 to 7 times spans as SDKs write them."""
    copies = ASCII_COPIES if data.isascii() else OTHER_COPIES
    return copies * len(data) + OBJECT_BYTES * data.count(b"{") + ESCAPE_BYTES * data.count(b"\\")


def estimate_zipkin_json(data: bytes) -> int:
    """Return the bytes of memory that reading all of Zipkin's JSON takes: 5 to 7 times spans as SDKs write them."""
    return estimate_json(data) + QUOTE_BYTES * data.count(b'"')


def estimate_zipkin_ids(data: bytes) -> int:
    """Return the bytes of memory that reading the ids alone of Zipkin's JSON takes."""
    return len(data) + ID_BYTES * data.count(b"{")


def estimate_zipkin_protobuf(data: bytes) -> int:
    """Return the bytes of memory that reading a ListOfSpans takes."""
    return PROTOBUF_COPIES * len(data)
