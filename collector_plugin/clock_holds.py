"""The messages whose far half waits for the clocks of its nodes to be related, by the way that has to be bounded.

Pure. A message that passed from one node to the other bounds that way itself: it waits for one that passes back.
"""

from typing import TYPE_CHECKING

from collector_plugin.clock_sightings import Way

if TYPE_CHECKING:
    from collector_plugin.messages import Message

MAX_HELD = 10_000
"""Messages that are held: those of a second at 10,000 a second; a first response is reported sooner."""


class HeldMessages:
    """Held messages, the oldest first."""

    def __init__(self) -> None:
        """Start without any."""
        self._by_way: dict[Way, dict[bytes, Message]] = {}
        self._ways: dict[bytes, Way] = {}

    def __len__(self) -> int:
        """Return the number of messages held."""
        return len(self._ways)

    def add(self, message: "Message", way: Way) -> None:
        """Hold a message until something passes on `way`."""
        self._ways[message.key] = way
        self._by_way.setdefault(way, {})[message.key] = message

    def release(self, way: Way) -> list["Message"]:
        """Return the messages that waited for `way`, the oldest first; they are held no longer."""
        # As a rule nobody waits, and to look a way up takes as long as all else here.
        if not self._ways:
            return []
        released = list(self._by_way.pop(way, {}).values())
        for message in released:
            del self._ways[message.key]
        return released

    def discard(self, key: bytes) -> None:
        """Hold the message with this key no longer."""
        way = self._ways.pop(key, None)
        if way is not None:
            waiting = self._by_way[way]
            del waiting[key]
            if not waiting:
                del self._by_way[way]

    def pop_excess(self) -> "list[Message]":
        """Return the oldest messages, by which there are more than may be; they are held no longer."""
        excess = []
        while len(self._ways) > MAX_HELD:
            key = next(iter(self._ways))
            excess.append(self._by_way[self._ways[key]][key])
            self.discard(key)
        return excess
