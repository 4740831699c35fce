"""Hops that a message hands out: on the parent's clock, with what their spans' attributes are read from.

Pure. Times are epoch nanoseconds.
"""

import msgspec

from collector_plugin.clocks import ClockSource
from collector_plugin.courses import Course
from collector_plugin.hop_templates import HopTemplate, Templates
from collector_plugin.network_span import Attributes


class Account(msgspec.Struct, frozen=True, gc=False):
    """What one node tells of a message; its hops share it."""

    course: Course
    times_ns: tuple[int, ...]
    """Of the stamps, on the node's clock."""
    offset_ns: int
    """The parent's clock minus the node's."""
    templates: Templates
    flags: int
    """Trace flags of the context."""
    addresses: tuple[Attributes, ...]
    """Both ends, and their names where those are asked for."""
    clock: ClockSource | None = None
    """How the stamps came onto the parent's clock; None for the near node's own."""
    clock_groups: tuple[Attributes, ...] = ()
    """What spans say of it."""


Hop = tuple[int, int, HopTemplate, Account]
"""The way between two successive points: the stamps at its start and its end, and what else there is to say. The
account of the wire is the far node's, since it is its addresses that were on the wire. A tuple: there are many."""


class Ready(msgspec.Struct, frozen=True):
    """What a message hands out at one moment."""

    hops: list[Hop]
    """In order of time; those that begin at once in the order of the packet's way."""
    half_count: int
    """Halves that are done with it."""
