"""The bodies of the answers, read by the protobuf library: what OTLP and Zipkin say they must be."""

import json

import pytest
from google.protobuf import json_format
from google.rpc import status_pb2  # type: ignore[import-untyped]  # has no stubs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector_plugin.http_answers import (
    JSON,
    MAX_MESSAGE_CHARACTERS,
    NO_ROOM,
    PROTOBUF,
    Failure,
    Status,
    describe_error,
    write_otlp_failure,
    write_otlp_success,
    write_text_failure,
    write_zipkin_success,
)
from collector_plugin.otlp_walk import TooManySpansError
from hopspan.export_errors import ExportResult, PermanentExportError, RetryableExportError
from hopspan.protowire import WireError
from hopspan.rpc_status import read_retry_after_ns

RETRIED = {429, 502, 503, 504}
"""What OTLP's clients repeat."""


@pytest.mark.parametrize("result", [ExportResult(), ExportResult(3, "bad"), ExportResult(0, "a remark")], ids=repr)
def test_success_is_the_same_in_both_encodings(result: ExportResult) -> None:
    """The partial success is there where there is one."""
    binary = ExportTraceServiceResponse.FromString(write_otlp_success(result, PROTOBUF).body)
    text = json_format.Parse(write_otlp_success(result, JSON).body, ExportTraceServiceResponse())
    assert binary == text
    assert binary.HasField("partial_success") == (result != ExportResult())
    assert binary.partial_success.rejected_spans == result.rejected_spans
    assert binary.partial_success.error_message == result.message


def test_zipkin_has_no_word_for_success() -> None:
    """202 and nothing else."""
    answer = write_zipkin_success(ExportResult(3, "bad"), JSON)
    assert (answer.status, answer.body) == (202, b"")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (WireError("cut"), 400, 3),
        (TooManySpansError("too many"), 413, 8),
        (RetryableExportError("UNAVAILABLE", "down"), 503, 14),
        (RetryableExportError("DEADLINE_EXCEEDED", "slow"), 503, 14),
        (RetryableExportError("RESOURCE_EXHAUSTED", "slow down", 5), 429, 8),
        (PermanentExportError("INVALID_ARGUMENT", "no"), 400, 3),
        (PermanentExportError("RESOURCE_EXHAUSTED", "too large"), 413, 8),
        (PermanentExportError("UNAUTHENTICATED", "no"), 500, 16),
        (PermanentExportError("PERMISSION_DENIED", "no"), 500, 7),
        (PermanentExportError("UNIMPLEMENTED", "no"), 500, 12),
        (PermanentExportError("SOMETHING_ELSE", "no"), 500, 13),
    ],
    ids=repr,
)
def test_failure_has_its_status_and_body(
    error: WireError | RetryableExportError | PermanentExportError, status: int, code: int
) -> None:
    """What may succeed later is repeated by clients, what never will is not; the body tells the gRPC code."""
    failure = describe_error(error, "a request")
    binary, text = write_otlp_failure(failure, PROTOBUF), write_otlp_failure(failure, JSON)
    assert binary.status == text.status == write_text_failure(failure, None).status == status
    assert (status in RETRIED) == isinstance(error, RetryableExportError)
    message = status_pb2.Status.FromString(binary.body)
    assert message.code == code
    assert str(error) in message.message
    assert json.loads(text.body) == {"code": code, "message": message.message}
    assert str(error).encode() in write_text_failure(failure, JSON).body


@pytest.mark.parametrize(
    ("wait_ns", "header"), [(None, None), (0, b"1"), (1, b"1"), (1_000_000_000, b"1"), (1_000_000_001, b"2")]
)
def test_client_is_told_when_to_come_again(wait_ns: int | None, header: bytes | None) -> None:
    """In whole seconds, never too early; where the peer said nothing, nothing is made up."""
    failure = describe_error(RetryableExportError("UNAVAILABLE", "busy", wait_ns), "a request")
    for answer in (write_otlp_failure(failure, PROTOBUF), write_otlp_failure(failure, JSON)):
        assert dict(answer.headers).get(b"retry-after") == header
    assert read_retry_after_ns(write_otlp_failure(failure, PROTOBUF).body) == wait_ns


def test_lack_of_room_is_to_be_repeated() -> None:
    """Overload: 503, in a second."""
    answer = write_otlp_failure(NO_ROOM, PROTOBUF)
    assert answer.status in RETRIED
    assert dict(answer.headers)[b"retry-after"] == b"1"


def test_long_message_is_cut() -> None:
    """A backend's page of HTML does not become ours."""
    failure = Failure(Status.BAD_REQUEST, "é" * 1_000_000)
    assert len(write_otlp_failure(failure, JSON).body) < 3 * MAX_MESSAGE_CHARACTERS


def test_unknown_encoding_is_answered_in_text() -> None:
    """Where the request has no encoding that is known, so has the answer."""
    answer = write_otlp_failure(Failure(Status.UNSUPPORTED_MEDIA_TYPE, "no"), None)
    assert answer.content_type.startswith("text/plain")
