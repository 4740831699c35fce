"""The answers of the HTTP receivers: status, headers and body for each way in which a request can end.

Pure. OTLP: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response. Of its statuses clients repeat 429, 502, 503
and 504 alone, so what may succeed later gets one of these and what never will gets none of them.
"""

import enum
from typing import Any

import msgspec

from collector_plugin.content_encoding import ContentEncoding
from collector_plugin.otlp_walk import TooManySpansError
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.protowire import WireError, write_integer, write_length
from hopspan.rpc_status import write_status

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

MAX_MESSAGE_CHARACTERS = 4096
"""Of the text of an error: it may come from a backend, and answers stay small."""

_NS_PER_S = 10**9


class Status(enum.IntEnum):
    """The statuses that the receivers answer with."""

    OK = 200
    ACCEPTED = 202
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    CONTENT_TOO_LARGE = 413
    UNSUPPORTED_MEDIA_TYPE = 415
    TOO_MANY_REQUESTS = 429
    HEAD_TOO_LARGE = 431
    INTERNAL_SERVER_ERROR = 500
    SERVICE_UNAVAILABLE = 503


_GRPC_CODES = {
    Status.BAD_REQUEST: "INVALID_ARGUMENT",
    Status.UNAUTHORIZED: "UNAUTHENTICATED",
    Status.NOT_FOUND: "UNIMPLEMENTED",
    Status.METHOD_NOT_ALLOWED: "UNIMPLEMENTED",
    Status.CONTENT_TOO_LARGE: "RESOURCE_EXHAUSTED",
    Status.UNSUPPORTED_MEDIA_TYPE: "INVALID_ARGUMENT",
    Status.TOO_MANY_REQUESTS: "RESOURCE_EXHAUSTED",
    Status.HEAD_TOO_LARGE: "INVALID_ARGUMENT",
    Status.INTERNAL_SERVER_ERROR: "INTERNAL",
    Status.SERVICE_UNAVAILABLE: "UNAVAILABLE",
}

# google/rpc/code.proto, from 0.
_GRPC_NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
_GRPC_NUMBERS = {name: number for number, name in enumerate(_GRPC_NAMES)}

_PERMANENT = {
    "INVALID_ARGUMENT": Status.BAD_REQUEST,
    "FAILED_PRECONDITION": Status.BAD_REQUEST,
    "OUT_OF_RANGE": Status.BAD_REQUEST,
    "RESOURCE_EXHAUSTED": Status.CONTENT_TOO_LARGE,
}
"""By the code of a PermanentExportError. All others are 500: a 401 would ask the client for credentials that the
backend wants of us."""


class Failure(msgspec.Struct, frozen=True):
    """How a request failed, whatever it is told in."""

    status: Status
    message: str
    code: str = ""
    """The gRPC code where it says more than the status."""
    retry_after_ns: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What goes out."""

    status: Status
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


NO_ROOM = Failure(Status.SERVICE_UNAVAILABLE, "no room for the request now", retry_after_ns=_NS_PER_S)
STOPPING = Failure(Status.SERVICE_UNAVAILABLE, "stopping", retry_after_ns=_NS_PER_S)
BROKEN = Failure(Status.INTERNAL_SERVER_ERROR, "internal error")
NOT_FOUND = Failure(Status.NOT_FOUND, "not found")
METHOD_NOT_ALLOWED = Failure(Status.METHOD_NOT_ALLOWED, "only POST is allowed", headers=((b"allow", b"POST"),))
MALFORMED = Failure(Status.BAD_REQUEST, "not an HTTP request")
HEAD_TOO_LARGE = Failure(Status.HEAD_TOO_LARGE, "the head is too large")
UNKNOWN_ENCODING = Failure(
    Status.UNSUPPORTED_MEDIA_TYPE,
    f"Content-Encoding is not one of {', '.join(ContentEncoding)}",
    headers=((b"accept-encoding", ", ".join(ContentEncoding).encode()),),
)


def refuse_credentials(*, were_given: bool) -> Failure:
    """Return the failure of a request without a token that is known (RFC 6750, section 3)."""
    challenge = b'Bearer realm="hopspan"' + (b', error="invalid_token"' if were_given else b"")
    return Failure(Status.UNAUTHORIZED, "a bearer token is required", headers=((b"www-authenticate", challenge),))


TOO_COSTLY = Failure(Status.CONTENT_TOO_LARGE, "takes more memory to read than all requests may hold together")


def refuse_size(limit_bytes: int) -> Failure:
    """Return the failure of a body that is larger than the limit."""
    return Failure(Status.CONTENT_TOO_LARGE, f"larger than {limit_bytes} bytes")


def describe_error(error: WireError | RetryableExportError | PermanentExportError, subject: str) -> Failure:
    """Return how a request failed that is not `subject`, or was not delivered."""
    if isinstance(error, TooManySpansError):
        return Failure(Status.CONTENT_TOO_LARGE, str(error))
    if isinstance(error, WireError):
        return Failure(Status.BAD_REQUEST, f"not {subject}: {error}")
    if isinstance(error, RetryableExportError):
        is_throttled = error.code == "RESOURCE_EXHAUSTED"
        status = Status.TOO_MANY_REQUESTS if is_throttled else Status.SERVICE_UNAVAILABLE
        return Failure(status, str(error), retry_after_ns=error.retry_after_ns)
    return Failure(_PERMANENT.get(error.code, Status.INTERNAL_SERVER_ERROR), str(error), code=error.code)


def write_otlp_success(result: ExportResult, content_type: str) -> Answer:
    """Return an ExportTraceServiceResponse (partial_success 1: rejected_spans 1, error_message 2)."""
    if content_type == JSON:
        partial_json: dict[str, str] = {}
        if result.rejected_spans:
            # protobuf's JSON mapping: 64-bit integers are strings.
            partial_json["rejectedSpans"] = str(result.rejected_spans)
        if result.message:
            partial_json["errorMessage"] = result.message
        body = msgspec.json.encode({"partialSuccess": partial_json} if partial_json else {})
        return Answer(Status.OK, JSON, body)
    partial = write_integer(1, result.rejected_spans) if result.rejected_spans else b""
    if result.message:
        partial += write_length(2, result.message.encode())
    return Answer(Status.OK, PROTOBUF, write_length(1, partial) if partial else b"")


def write_otlp_failure(failure: Failure, content_type: str | None) -> Answer:
    """Return a google.rpc.Status in the request's encoding; in plain text where that is not known."""
    number = _GRPC_NUMBERS.get(failure.code or _GRPC_CODES[failure.status], _GRPC_NUMBERS["INTERNAL"])
    message = failure.message[:MAX_MESSAGE_CHARACTERS]
    if content_type == JSON:
        status: dict[str, Any] = {"code": number, "message": message}
        return Answer(failure.status, JSON, msgspec.json.encode(status), _write_headers(failure))
    if content_type == PROTOBUF:
        if failure.retry_after_ns is not None:
            body = write_status(number, message, failure.retry_after_ns)
        else:
            body = write_integer(1, number) + write_length(2, message.encode())
        return Answer(failure.status, PROTOBUF, body, _write_headers(failure))
    return write_text_failure(failure, content_type)


def write_zipkin_success(_result: ExportResult, _content_type: str) -> Answer:
    """Return what Zipkin answers; it has no words for a partial success."""
    return Answer(Status.ACCEPTED, TEXT, b"")


def write_text_failure(failure: Failure, _content_type: str | None) -> Answer:
    """Return the failure in plain text, as Zipkin does."""
    body = failure.message[:MAX_MESSAGE_CHARACTERS].encode() + b"\n"
    return Answer(failure.status, TEXT, body, _write_headers(failure))


def _write_headers(failure: Failure) -> tuple[tuple[bytes, bytes], ...]:
    if failure.retry_after_ns is None:
        return failure.headers
    # Whole seconds (RFC 9110, section 10.2.3), and not before the wait is over.
    seconds = max(1, -(-failure.retry_after_ns // _NS_PER_S))
    return (*failure.headers, (b"retry-after", str(seconds).encode()))
