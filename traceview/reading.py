"""What was read of a backend's answer, and what was not: nothing is left out in silence. Pure."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from traceview.otlp_json import MAX_SPANS
from traceview.span import Span
from traceview.text import make_visible

MAX_ANSWER_KEYS = 6_000_000
"""Colons in the JSON of an answer: each may be a key, which takes some 100 bytes. 64 MiB of hops have half of it."""

_Value = TypeVar("_Value")


class AnswerError(ValueError):
    """A backend's answer that cannot be read; the text says what was wrong, and holds foreign text made visible."""


class Reading(msgspec.Struct, frozen=True):
    """The spans of an answer, and how many more there were."""

    spans: tuple[Span, ...]
    unreadable: int = 0
    """Spans left out since an id, a time or an attribute of theirs is none."""
    first_fault: str = ""
    beyond: int = 0
    """Spans left out beyond MAX_SPANS."""
    foreign: int = 0
    """Spans left out since they are of other traces than the one asked for."""

    def describe(self) -> tuple[str, ...]:
        """Return a sentence for each reason why spans were left out."""
        found = []
        if self.unreadable:
            found.append(f"left out, spans that cannot be read: {self.unreadable}; the first: {self.first_fault}")
        if self.beyond:
            found.append(f"left out, spans beyond the first {MAX_SPANS}: {self.beyond}")
        if self.foreign:
            found.append(f"left out, spans of other traces: {self.foreign}")
        return tuple(found)


def collect_spans(found: Iterable[Span | ValueError]) -> Reading:
    """Return a reading of what a walk over an answer yields: spans, and what was wrong with others.

    Raises AnswerError where the walk itself ends with a ValueError.
    """
    spans: list[Span] = []
    unreadable, first_fault, beyond = 0, "", 0
    try:
        for span in found:
            if isinstance(span, ValueError):
                unreadable += 1
                first_fault = first_fault or make_visible(str(span))
            elif len(spans) < MAX_SPANS:
                spans.append(span)
            else:
                beyond += 1
    except ValueError as error:
        # Of a resource or process, which many spans share.
        raise AnswerError(f"it holds what is no value: {make_visible(str(error))}") from error
    return Reading(tuple(spans), unreadable, first_fault, beyond)


def decode_answer(decoder: msgspec.json.Decoder[_Value], body: bytes) -> _Value:
    """Return what `decoder` makes of a body; raises AnswerError where it is none, or holds too much."""
    if body.count(b":") > MAX_ANSWER_KEYS:
        raise AnswerError(f"it holds more than {MAX_ANSWER_KEYS} values; ask for less")
    try:
        return decoder.decode(body)
    except RecursionError as error:
        raise AnswerError("its values are nested too deeply") from error
    except (msgspec.MsgspecError, ValueError) as error:
        head = make_visible(body.lstrip()[:40].decode("utf-8", "replace"))
        raise AnswerError(f"it is not the JSON expected ({make_visible(str(error))}); it begins {head!r}") from error
