"""What is measured: a request whose context lies where Envoy's own headers push it, at the byte that `load` has it.

Pure: values only.
"""

from testbed.load import CONTEXT_AT_BYTE
from tests.kernel.packets import PARENT_ID, TRACE_ID, traced_request

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
