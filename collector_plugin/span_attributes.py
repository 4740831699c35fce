"""Picks some attributes of a span by their keys, from the wire bytes of each.

Pure. Whether an attribute is wanted is seen by its key's bytes at the one place or the other where encoders write it:
SDKs before the value, the Collector behind it. An attribute that is written otherwise, as none does, is passed over;
what is wrong in there is the backend's to say.
"""

from collections.abc import Iterable, Mapping

from hopspan.protowire import LENGTH, VARINT, WireError, read_fields, read_varint, write_length

MAX_KEY_BYTES = 127
"""Of a key that is wanted: its length is one byte. The semantic conventions' longest has 50."""

Value = bytes | int
"""Of a text, or of a whole number."""

# Fields of opentelemetry.proto.common.v1.KeyValue and AnyValue.
_KEY, _VALUE = 1, 2
_STRING, _INT = 1, 3
_KEY_TAG, _VALUE_TAG, _STRING_TAG = _KEY << 3 | LENGTH, _VALUE << 3 | LENGTH, _STRING << 3 | LENGTH
_SIGN = 1 << 63
_SHORTEST = 2


class AttributePicker:
    """Picks attributes with certain keys."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Want these, each of 1 to MAX_KEY_BYTES."""
        fields = [write_length(_KEY, key) for key in keys]
        self._starts, self._ends = frozenset(fields), tuple(fields)

    def pick(self, attributes: Iterable[bytes]) -> Mapping[bytes, Value]:
        """Return the values, by key, of those that are wanted and texts or whole numbers; the last one counts."""
        starts, ends = self._starts, self._ends
        picked: dict[bytes, Value] = {}
        for data in attributes:
            # Each is looked at: for one that is not wanted no more is done than a slice and a look-up.
            if len(data) < _SHORTEST or data[0] != _KEY_TAG:
                if data.endswith(ends):
                    _read_into(picked, data)
                continue
            value = data[1] + 2
            if data[:value] in starts:
                # A short text, as nearly all are, is read at once.
                text, size = value + 4, len(data)
                if (
                    text <= size
                    and data[value] == _VALUE_TAG
                    and data[value + 2] == _STRING_TAG
                    and text + data[text - 1] == size
                ):
                    picked[data[2:value]] = data[text:]
                else:
                    _read_into(picked, data)
        return picked


def _read_into(picked: dict[bytes, Value], data: bytes) -> None:
    key, value = b"", b""
    try:
        for number, wire_type, _, start, end in read_fields(data, 0, len(data)):
            if wire_type == LENGTH and number == _KEY:
                key = data[start:end]
            elif wire_type == LENGTH and number == _VALUE:
                value = data[start:end]
        for number, wire_type, _, start, end in read_fields(value, 0, len(value)):
            if number == _STRING and wire_type == LENGTH:
                picked[key] = value[start:end]
            elif number == _INT and wire_type == VARINT:
                whole, _ = read_varint(value, start, end)
                picked[key] = whole - 2 * (whole & _SIGN)
    except WireError:
        return
