"""Batches to send: stand-ins for spans, told apart by a number."""

from collections.abc import Sequence

from node_probe.span_writer import SpanBatch


def make_batch(number: int, count: int = 1) -> SpanBatch:
    """Return a batch of `count` transits whose bytes are the number."""
    return SpanBatch(str(number).encode(), count, frozenset())


def encode(batches: Sequence[SpanBatch]) -> bytes:
    """Return the numbers of the batches as a request, parted by commas."""
    return b",".join(batch.spans for batch in batches)
