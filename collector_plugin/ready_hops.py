"""Hops that a message hands out: placed on the parent's clock, with what their spans' attributes are read from.

Pure.
"""

import msgspec

from collector_plugin.clocks import ClockSource
from collector_plugin.halves import Half
from collector_plugin.hops import UNDERLAY, Hop
from node_probe.transit import Stamp, Transit


class ReadyHop(msgspec.Struct, frozen=True, gc=False):
    """A hop that can become a span, with what its attributes are read from."""

    hop: Hop
    half: Half
    """The half whose node and device the span names; for the wire the sender's."""
    seen: Transit
    """The transit whose addresses the span shows; for the wire the far one's, since those were on the wire."""
    epoch_offset_ns: int
    clock: ClockSource | None
    """How the far node's stamps were placed; None for the near node's own hops."""
    clock_offset_ns: int = 0
    """With `measured`: the far node's wall clock minus the near node's."""
    clock_uncertainty_ns: int = 0
    """With `measured`: how far off the far node's stamps may be on the near clock."""

    @property
    def device(self) -> Stamp:
        """Return the stamp whose device the span names: where the hop ends, for the wire where it leaves the node."""
        return self.hop.start if self.hop.name == UNDERLAY else self.hop.stop

    @property
    def from_epoch_ns(self) -> int:
        """Return the epoch time of the hop's first stamp."""
        return self.hop.start.monotonic_ns + self.epoch_offset_ns

    @property
    def to_epoch_ns(self) -> int:
        """Return the epoch time of the hop's last stamp."""
        return self.hop.stop.monotonic_ns + self.epoch_offset_ns


class Ready(msgspec.Struct, frozen=True):
    """What a message hands out at one moment."""

    hops: list[ReadyHop]
    """In order of time."""
    halves: list[Half]
    """The halves that are done with it."""
