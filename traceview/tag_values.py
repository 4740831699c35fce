"""Read what formats of texts made of our attributes: numbers and lists, as docs/zipkin.md has it. Pure."""

from collections.abc import Mapping

import msgspec

from traceview.span import AttributeValue

NUMBERS = frozenset(
    {"hopspan.duration_ns", "hopspan.attempt", "hopspan.clock.offset_ns", "hopspan.clock.uncertainty_ns"}
)
"""Attributes of network spans that are integers."""

LISTS = frozenset({"hopspan.missed"})
"""Attributes of network spans that are lists of texts."""

SCOPE_NAMES = ("otel.scope.name", "otel.library.name")
"""Tags that hold the name of the scope; the second is what it was called before."""

MAX_DIGITS = 19
"""Of a 64-bit integer."""

_LIST = msgspec.json.Decoder(list[str])


def restore_values(tags: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Return the tags with those of our attributes as numbers and lists that are texts; others stay as they are."""
    return {key: _restore_value(key, value) for key, value in tags.items() if key not in SCOPE_NAMES}


def find_scope(tags: Mapping[str, AttributeValue]) -> str:
    """Return the name of the scope, "" where no tag tells it."""
    return next((str(tags[key]) for key in SCOPE_NAMES if key in tags), "")


def _restore_value(key: str, value: AttributeValue) -> AttributeValue:
    if not isinstance(value, str):
        return value
    if key in NUMBERS:
        digits = value.removeprefix("-")
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS
        return int(value) if is_number else value
    if key in LISTS and value.startswith("["):
        try:
            return tuple(_LIST.decode(value))
        except (msgspec.MsgspecError, RecursionError):
            return value
    return value
