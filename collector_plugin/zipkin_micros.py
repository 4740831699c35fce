"""Zipkin's times, whole microseconds, to nanoseconds and back.

Pure. A server reads numbers from texts too, and takes what is below one for absent.
"""

import re

from hopspan.protowire import WireError

Micros = int | float | str | None
"""What a time or a duration may be in JSON."""

NS_PER_US = 1_000
MAX_NS = (1 << 64) - 1
"""OTLP's times are 64 bits."""

_DIGITS = re.compile(r"-?[0-9]{1,20}", re.ASCII)


def read_micros(value: Micros, where: str) -> int:
    """Return whole microseconds, 0 where the value is absent or negative. Raises WireError, naming `where`."""
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            raise WireError(f"{where} is not a whole number")
        value = int(value)
    if isinstance(value, float):
        if not value.is_integer():
            raise WireError(f"{where} is not a whole number")
        value = int(value)
    return max(value or 0, 0)


def to_ns(micros: int) -> int:
    """Return nanoseconds; what no 64 bits hold is 0, as an absent time is."""
    return micros * NS_PER_US if micros * NS_PER_US <= MAX_NS else 0
