"""Where transits come from: nodes and their interfaces, each kept once for all transits that come from there.

Pure. Batches of one node name different interfaces, those that occur in them; a later batch adds to the place of a
former one unless it contradicts it, so that a node's transits share one object as a rule.
"""

import collections
from collections.abc import Mapping

import msgspec

from node_probe.wire_batch import NodeIdentity

PLACE_BYTES = 1_000
"""What a place takes beside its interfaces, measured: a node with all its names."""

INTERFACE_BYTES = 150
"""What an interface takes, measured: name, number, and its place in a dict that may just have grown."""

MAX_KNOWN_BYTES = 16 << 20
"""Of the places of late: five thousand nodes with some ten interfaces each. One that is forgotten is kept anew."""


class Place(msgspec.Struct, frozen=True, eq=False):
    """A node and names of its interfaces by index. Compared as an object, since it is a key."""

    node: NodeIdentity
    interfaces: Mapping[int, str]

    @property
    def size_bytes(self) -> int:
        """Return an estimate of the memory it takes."""
        return PLACE_BYTES + INTERFACE_BYTES * len(self.interfaces)

    def widen(self, interfaces: Mapping[int, str]) -> "Place":
        """Return a place of this node that has at least `interfaces`: this one if it can be."""
        known = self.interfaces
        if interfaces is known or interfaces.items() <= known.items():
            return self
        contradicts = any(known.get(index, name) != name for index, name in interfaces.items())
        return Place(self.node, interfaces if contradicts else {**known, **interfaces})


class KnownPlaces:
    """The newest place of each node, as long as there is room."""

    def __init__(self) -> None:
        """Start with none."""
        self._places: collections.OrderedDict[NodeIdentity, Place] = collections.OrderedDict()
        self._size_bytes = 0

    def find(self, node: NodeIdentity, interfaces: Mapping[int, str]) -> Place:
        """Return the place of `node`, which has at least `interfaces`."""
        known = self._places.get(node)
        place = Place(node, interfaces) if known is None else known.widen(interfaces)
        if place is not known:
            self._size_bytes += place.size_bytes - (known.size_bytes if known is not None else 0)
            self._places[node] = place
        self._places.move_to_end(node)
        while self._size_bytes > MAX_KNOWN_BYTES and len(self._places) > 1:
            _, oldest = self._places.popitem(last=False)
            self._size_bytes -= oldest.size_bytes
        return place


class PlaceTable:
    """Places by number, as long as anything refers to them; KnownPlaces makes those of a node one."""

    def __init__(self) -> None:
        """Start with none."""
        self.size_bytes = 0
        self._places: list[Place | None] = []
        self._uses: list[int] = []
        self._free: list[int] = []
        self._numbers: dict[Place, int] = {}

    def take(self, place: Place) -> int:
        """Return the number of the place, with one reference more."""
        number = self._numbers.get(place)
        if number is None:
            number = self._add(place)
        self._uses[number] += 1
        return number

    def release(self, number: int) -> Place:
        """Give one reference back; return the place."""
        place = self._places[number]
        assert place is not None
        uses = self._uses
        uses[number] -= 1
        if not uses[number]:
            self.size_bytes -= place.size_bytes
            self._places[number] = None
            self._free.append(number)
            del self._numbers[place]
        return place

    def _add(self, place: Place) -> int:
        self.size_bytes += place.size_bytes
        if self._free:
            number = self._free.pop()
            self._places[number] = place
        else:
            number = len(self._places)
            self._places.append(place)
            self._uses.append(0)
        self._numbers[place] = number
        return number
