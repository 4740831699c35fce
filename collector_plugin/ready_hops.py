"""Hops that a message hands out: on the parent's clock, with what their spans' attributes are read from.

Pure. Times are epoch nanoseconds.
"""

import msgspec

from collector_plugin.clocks import ClockSource
from collector_plugin.courses import Course
from collector_plugin.halves import Half
from collector_plugin.hop_templates import HopTemplate, Templates
from collector_plugin.network_span import Attributes


class Account(msgspec.Struct, frozen=True, gc=False):
    """What one node tells of a message, on the parent's clock; its hops share it."""

    course: Course
    times_ns: list[int]
    """Of the stamps."""
    templates: Templates
    flags: int
    """Trace flags of the context."""
    addresses: Attributes
    clock: ClockSource | None = None
    """How the stamps came onto the parent's clock; None for the near node's own."""
    clock_groups: tuple[Attributes, ...] = ()
    """What spans say of it."""


class Hop(msgspec.Struct, frozen=True, gc=False):
    """The way between two successive points."""

    template: HopTemplate
    start_ns: int
    stop_ns: int
    account: Account
    """For the wire the far node's, since it is its addresses that were on the wire."""

    @property
    def duration_ns(self) -> int:
        """Return the exact time between the stamps."""
        return self.stop_ns - self.start_ns


class Ready(msgspec.Struct, frozen=True):
    """What a message hands out at one moment."""

    hops: list[Hop]
    """In order of time."""
    halves: list[Half]
    """The halves that are done with it."""
