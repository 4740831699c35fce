"""What is measured: a request whose context lies where Envoy's own headers push it, under a limit it never meets.

Pure: values only.
"""

from tests.kernel.packets import PARENT_ID, TRACE_ID, traced_request

CONTEXT_AT_BYTE = 560
"""Where the field `traceparent` begins in the header block, in PROG_TEST_RUN and under load alike."""

PLAIN_TCP = 34
"""Offset of the TCP header in a frame: behind Ethernet and IPv4."""

IN_TUNNEL_TCP = PLAIN_TCP + 50
"""The same inside VXLAN: behind an outer Ethernet (14), IPv4 (20), UDP (8) and VXLAN header (8)."""

UNREACHED_RATE = 1 << 30
"""Transits a second: without a limit the programs would be spared the look-up that nodes pay for."""

_ANY = f"00-{TRACE_ID}-{PARENT_ID}-00"
_PADDING = 100
_OVERHEAD = traced_request(_ANY, padding=_PADDING).index(b"traceparent") - _PADDING


def deep_request(flags: str, trace_id: str = TRACE_ID) -> bytes:
    """Return a request with its context at CONTEXT_AT_BYTE; `flags` are two hex digits."""
    return traced_request(f"00-{trace_id}-{PARENT_ID}-{flags}", padding=CONTEXT_AT_BYTE - _OVERHEAD)


def head_request(flags: str) -> bytes:
    """Return the same request with its context at the head, where a sidecar with the context-first filter puts it."""
    line, *headers, end, body = deep_request(flags).split(b"\r\n")
    contexts = [header for header in headers if header.startswith(b"traceparent")]
    others = [header for header in headers if header not in contexts]
    return b"\r\n".join([line, others[0], *contexts, *others[1:], end, body])
