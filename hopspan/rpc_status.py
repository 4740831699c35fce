"""The google.rpc.Status of a gRPC error (`grpc-status-details-bin`), read and written for its RetryInfo alone.

Pure. OTLP tells by it when to come back: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-throttling. The bytes
come from the peer, so every length is checked, and what is no Status of this shape simply has no RetryInfo.
"""

from hopspan.protowire import (
    LENGTH,
    VARINT,
    WireError,
    read_fields,
    read_varint,
    write_integer,
    write_length,
)

STATUS_KEY = "grpc-status-details-bin"
RETRY_INFO_TYPE = b"type.googleapis.com/google.rpc.RetryInfo"

MAX_STATUS_BYTES = 16 * 1024
"""gRPC's own limit for all metadata of a call; more is never read."""

_NS_PER_S = 10**9
_MAX_SECONDS = 10**9

# Status: code 1, message 2, details 3 (Any: type_url 1, value 2; RetryInfo: retry_delay 1; Duration: s 1, ns 2).


def read_retry_after_ns(status: bytes) -> int | None:
    """Return the delay of the Status's RetryInfo in nanoseconds, or None where it has none that can be read."""
    if len(status) > MAX_STATUS_BYTES:
        return None
    try:
        for detail in _read_messages(status, 3):
            if b"".join(_read_messages(detail, 1)) == RETRY_INFO_TYPE:
                retry_info = b"".join(_read_messages(detail, 2))
                return _read_duration_ns(b"".join(_read_messages(retry_info, 1)))
    except WireError:
        return None
    return None


def write_status(code: int, message: str, retry_after_ns: int) -> bytes:
    """Return a Status with one RetryInfo."""
    seconds, nanos = divmod(retry_after_ns, _NS_PER_S)
    duration = write_integer(1, seconds) + write_integer(2, nanos)
    detail = write_length(1, RETRY_INFO_TYPE) + write_length(2, write_length(1, duration))
    return write_integer(1, code) + write_length(2, message.encode()) + write_length(3, detail)


def _read_messages(data: bytes, wanted: int) -> list[bytes]:
    return [
        data[value_start:value_end]
        for number, wire_type, _, value_start, value_end in read_fields(data, 0, len(data))
        if number == wanted and wire_type == LENGTH
    ]


def _read_duration_ns(data: bytes) -> int | None:
    values = {1: 0, 2: 0}
    for number, wire_type, _, value_start, value_end in read_fields(data, 0, len(data)):
        if number in values and wire_type == VARINT:
            values[number], _ = read_varint(data, value_start, value_end)
    seconds, nanos = values[1], values[2]
    # Negative numbers arrive as 64-bit two's complement, thus huge: no wish that can be honoured.
    if seconds > _MAX_SECONDS or nanos >= _NS_PER_S:
        return None
    return seconds * _NS_PER_S + nanos
