"""How an export can end; failures are told apart by the only question that matters: whether to try again.

Pure: no transport is named here, so that retry loops and receivers need not import one.
"""

import msgspec


class ExportResult(msgspec.Struct, frozen=True):
    """What the peer said of a delivered request: OTLP's partial success, which must not be retried."""

    rejected_spans: int = 0
    message: str = ""


class ExportError(Exception):
    """The request was not delivered."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is the name of a gRPC status code, such as `UNAVAILABLE`; other transports map theirs to it."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class RetryableExportError(ExportError):
    """The same request may succeed later."""

    def __init__(self, code: str, message: str, retry_after_ns: int | None = None) -> None:
        """`retry_after_ns` is the wait that the peer asked for, None where it did not."""
        super().__init__(code, message)
        self.retry_after_ns = retry_after_ns


class PermanentExportError(ExportError):
    """The same request will never succeed."""
