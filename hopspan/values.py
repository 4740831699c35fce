"""Values of the configuration that are written as text (durations, endpoints), and the marks that types carry.

Pure. A reader takes the text and returns the value, or raises ValueError with a reason that can follow `key: `.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

MAX_DURATION_NS = 366 * 24 * 3600 * 10**9
"""A year: more is a slip of the pen, and it keeps every sum of times far below 64 bits."""

MAX_PORT = 0xFFFF

_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = r"(\d{1,18}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)"
_DURATION = re.compile(f"(?:{_PART})+", re.ASCII)
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)


class Reader(msgspec.Struct, frozen=True):
    """The mark of a type that is written as one scalar: `Annotated[int, Reader(read_duration)]`."""

    read: Callable[[str], Any]
    schema: str = '{"type": "string"}'
    """The JSON schema of the text, as JSON; it may let pass what `read` refuses, never the other way round."""
    write: Callable[[Any], str] = str
    """Return the text of a value, by which the schema tells the default."""


class Unavailable(msgspec.Struct, frozen=True):
    """The mark of a key that the design names and this version does not have: whoever sets it is told so."""


class Named(msgspec.Struct, frozen=True):
    """The mark of a mapping from `type` or `type/name` to the Struct of that type, as the Collector names components.

    A type whose value is None is known and not available in this version.
    """

    kinds: Mapping[str, type[Any] | None]


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """A host name or address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_duration(text: str) -> int:
    """Return nanoseconds from text in Go's notation: `500ms`, `1m30s`, `1.5s`, `0`. Negative ones are refused."""
    if text == "0":
        return 0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration (such as 500ms, 60s, 10m)")
    total = int(sum(Decimal(number) * _UNITS_NS[unit] for number, unit in re.findall(_PART, text, re.ASCII)))
    if total > MAX_DURATION_NS:
        raise ValueError(f"{text!r} is longer than a year")
    return total


def read_positive_duration(text: str) -> int:
    """Return nanoseconds as `read_duration` does, but refuse zero."""
    duration_ns = read_duration(text)
    if duration_ns == 0:
        raise ValueError("must be longer than zero")
    return duration_ns


def read_duration_to(limit_ns: int) -> Callable[[str], int]:
    """Return a reader of durations above zero and up to a limit."""

    def read(text: str) -> int:
        duration_ns = read_positive_duration(text)
        if duration_ns > limit_ns:
            raise ValueError(f"is longer than {write_duration(limit_ns)}")
        return duration_ns

    return read


def write_duration(duration_ns: int) -> str:
    """Return what `read_duration` reads: in the largest unit that divides it, but two minutes and less in seconds."""
    if duration_ns > _UNITS_NS["m"] * 2 and duration_ns % _UNITS_NS["m"] == 0:
        return f"{duration_ns // _UNITS_NS['m']}m"
    unit = next(unit for unit in ("s", "ms", "us", "ns") if duration_ns % _UNITS_NS[unit] == 0)
    return f"{duration_ns // _UNITS_NS[unit]}{unit}"


def describe_duration(bounds: str) -> str:
    """Return the JSON schema of durations; what bounds they have stands in words, since JSON Schema compares none."""
    text = {"type": "string", "pattern": f"^(0|{_DURATION.pattern})$"}
    return json.dumps({"anyOf": [text, {"const": 0}], "x-unit": "duration", "x-bounds": bounds})


def read_endpoint(text: str) -> Endpoint:
    """Return the endpoint of `host:port` or `[IPv6 address]:port`; the port is 1 to 65535."""
    endpoint = read_listen_endpoint(text)
    if endpoint.port == 0:
        raise ValueError("port 0 cannot be connected to")
    return endpoint


def read_listen_endpoint(text: str) -> Endpoint:
    """Return the endpoint to listen on: as `read_endpoint`, and port 0 lets the system choose."""
    host, colon, port = text.rpartition(":")
    if "://" in text or "@" in text:
        # Not repeated: what stands before an @ may be a password.
        raise ValueError("is not host:port (give no scheme, user or path)")
    if not colon or not port.isascii() or not port.isdigit() or int(port[:6]) > MAX_PORT:
        raise ValueError(f"{text!r} is not host:port")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(_read_ipv6(host[1:-1]), int(port))
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{text!r} is not host:port")
    return Endpoint(host, int(port))


def _read_ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise ValueError(f"'[{text}]' is not an IPv6 address") from error


_ENDPOINT_SCHEMA = '{"type": "string", "pattern": "^[^/@]+:[0-9]{1,5}$", "x-unit": "host:port"}'

Duration = Annotated[int, Reader(read_duration, describe_duration("0s or more"), write_duration)]
"""Nanoseconds, zero or more."""

PositiveDuration = Annotated[int, Reader(read_positive_duration, describe_duration("more than 0s"), write_duration)]
"""Nanoseconds, more than zero."""

Peer = Annotated[Endpoint, Reader(read_endpoint, _ENDPOINT_SCHEMA)]
"""An endpoint to connect to."""

Listener = Annotated[Endpoint, Reader(read_listen_endpoint, _ENDPOINT_SCHEMA)]
"""An endpoint to listen on."""

NotAvailable = Annotated[None, Unavailable()]
"""The type of a key that this version does not have; its only value is the default None."""
