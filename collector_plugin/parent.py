"""The application span that network spans lie under.

Pure.
"""

import msgspec


class Parent(msgspec.Struct, frozen=True):
    """An application span, as far as its network spans need it."""

    resource: bytes
    """Fields `resource` and `schema_url` of its ResourceSpans, byte for byte."""
    start_ns: int
    end_ns: int
    """Epoch nanoseconds, as the application set them."""
    trace_id: bytes
    """As the application has it: a context that names the same trace may have the right half of it alone."""
    service: str = ""
    """`service.name` of the resource."""
    waits: bool = False
    """Whether it waits for an answer: a CLIENT or PRODUCER."""
    peer: bytes = b""
    """The address that it says it called, 16 bytes; empty where it says none."""


NO_PARENT = Parent(b"", 0, 0, b"")
