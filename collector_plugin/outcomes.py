"""What became of spans on their way in and out. Each member's value is the label of its metric.

Pure.
"""

import enum


class ReceiveOutcome(enum.StrEnum):
    """What a client was told of a span that could be read."""

    ACCEPTED = "accepted"
    """Success: the first exporter's peer has it."""
    REFUSED = "refused"
    """Failure: it could not be delivered."""


class SendOutcome(enum.StrEnum):
    """The end of an attempt to send a span, or of its wait for one."""

    SENT = "sent"
    RETRYABLE = "retryable"
    """The peer could not take it now. An application span's client was told so, and will come again."""
    REFUSED = "refused"
    """The peer will never take it."""
    REJECTED = "rejected"
    """The peer took the request and left this span out (OTLP's partial success)."""
    LEFT_OUT = "left_out"
    """The peer's format cannot hold it: Zipkin takes no ids of zeros or of another length."""
    QUEUE_FULL = "queue_full"
    """More waited than may."""
    GAVE_UP = "gave_up"
    """It was tried again for as long as anything is."""
    SHUTDOWN = "shutdown"
    """It still waited when the time to end had passed."""
